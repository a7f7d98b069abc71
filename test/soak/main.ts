/** `npm run soak`: see run-soak.ts. */
import { parseArgs } from 'node:util';
import { runSoak } from './run-soak.ts';

const HELP = `npm run soak -- [OPTION ...]
  --minutes N         how long; 10 by default. Memory is judged strictly from 25 minutes on
  --rate N            queries a second; 20000 by default
  --reload-seconds N  time between reloads; 60 by default. Updates and orders are four and five times as frequent
  --seed N            repeats the choices of a run
`;

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    rate: { type: 'string', default: '20000' },
    'reload-seconds': { type: 'string', default: '60' },
    seed: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});
const seed = Number(values.seed ?? Math.floor(Math.random() * 0x7fff_ffff));
const options = {
  ...{
    minutes: Number(values.minutes),
    rate: Number(values.rate),
    reloadSeconds: Number(values['reload-seconds']),
    seed,
  },
  tell: (line: string) => {
    console.log(`soak: ${line}`);
  },
};
if (values.help || ![options.minutes, options.rate, options.reloadSeconds].every((number) => number > 0)) {
  console.log(HELP);
  process.exitCode = values.help ? 0 : 2;
} else {
  console.log(`soak: seed ${seed}`);
  const { problems, report, did, growth, megabytes } = await runSoak(options);
  console.log(`soak: ${JSON.stringify({ ...report, ...did })}`);
  console.log(
    `soak: ${megabytes.at(0)?.mb ?? 0} MB at the start, ${megabytes.at(-1)?.mb ?? 0} MB at the end, ${(growth * 100).toFixed(1)} % more than after the warm-up`,
  );
  for (const problem of problems) console.log(`soak: PROBLEM: ${problem}`);
  console.log(problems.length === 0 ? 'soak: all is well' : `soak: ${problems.length} problems`);
  process.exitCode = problems.length === 0 ? 0 : 1;
}
