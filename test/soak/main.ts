/** `npm run soak`: see run-soak.ts. */
import { scriptOptions } from '../support/script-options.ts';
import { runSoak } from './run-soak.ts';

const HELP = `npm run soak -- [OPTION ...]
  --minutes N         how long; 10 by default. Memory is judged strictly from 25 minutes on
  --rate N            queries a second; 20000 by default
  --reload-seconds N  time between reloads; 60 by default. Updates and orders are four and five times as frequent
  --seed N            repeats the choices of a run
`;

const { 'reload-seconds': reloadSeconds, ...more } = scriptOptions(HELP, {
  minutes: { type: 'number', default: 10, positive: true },
  rate: { type: 'number', default: 20_000, positive: true },
  'reload-seconds': { type: 'number', default: 60, positive: true },
  seed: { type: 'number', default: Math.floor(Math.random() * 0x7fff_ffff) },
});
console.log(`soak: seed ${more.seed}`);
const { problems, report, did, growth, megabytes } = await runSoak({
  ...more,
  reloadSeconds,
  tell: (line) => {
    console.log(`soak: ${line}`);
  },
});
console.log(`soak: ${JSON.stringify({ ...report, ...did })}`);
console.log(
  `soak: ${megabytes.at(0)?.mb ?? 0} MB at the start, ${megabytes.at(-1)?.mb ?? 0} MB at the end, ${(growth * 100).toFixed(1)} % more than after the warm-up`,
);
for (const problem of problems) console.log(`soak: PROBLEM: ${problem}`);
console.log(problems.length === 0 ? 'soak: all is well' : `soak: ${problems.length} problems`);
process.exitCode = problems.length === 0 ? 0 : 1;
