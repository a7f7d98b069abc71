/**
 * `npm run fuzz`: tries targets for longer than the tests do, and keeps a failing input in test/fuzz/crashers, where
 * the tests replay it.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { scriptOptions } from '../support/script-options.ts';
import { TARGETS } from './all-targets.ts';
import { fuzz, keepCrasher, type FuzzTarget, type FuzzResult } from './fuzz-target.ts';
import { runGuided, type GuidedLimits } from './guided/run-guided.ts';
import { runPackets } from './packet-run.ts';

const HELP = `npm run fuzz -- [OPTION ...]
  --target NAME   the target; repeatable; all by default
  --minutes N     time for each target; 1 by default
  --count N       inputs for each target, in place of a time
  --seed N        repeats a run
  --guided        prefers input that reaches more code (Jazzer.js, which the first run brings)
  --fast          packets only: a loop without fast-check, some hundred thousand packets a second
  --list          the targets
`;

const values = scriptOptions(HELP, {
  target: { type: 'string', multiple: true },
  minutes: { type: 'number', default: 1 },
  count: { type: 'number' },
  seed: { type: 'number', default: Math.floor(Math.random() * 0x7fff_ffff) },
  guided: { type: 'boolean', default: false },
  fast: { type: 'boolean', default: false },
  list: { type: 'boolean', default: false },
});

const SETUP = fileURLToPath(new URL('../../bin/setup', import.meta.url));

process.exitCode = await main();

async function main(): Promise<number> {
  if (values.list) {
    for (const { name, about } of TARGETS) console.log(`${name.padEnd(18)} ${about}`);
    return 0;
  }
  const { seed, count = Number.MAX_SAFE_INTEGER } = values;
  const minutes = values.count === undefined ? values.minutes : undefined;
  if (values.fast) return runPackets({ seed, count, minutes });
  const unknown = (values.target ?? []).filter((name) => !TARGETS.some((target) => target.name === name));
  if (unknown.length > 0) {
    console.error(`unknown target ${unknown.join(', ')}; "npm run fuzz -- --list" shows the targets`);
    return 2;
  }
  if (values.guided) spawnSync('sh', [SETUP, '--guided'], { stdio: 'inherit' });
  let failures = 0;
  for (const target of TARGETS.filter(({ name }) => values.target?.includes(name) ?? true)) {
    console.log(`${target.name}: seed ${seed}`);
    const limits = {
      seed,
      inputs: Math.min(count, 0x7fff_ffff),
      ...(minutes === undefined ? {} : { ms: minutes * 60_000 }),
    };
    const { inputs, failure } = values.guided
      ? await guided(target, { seed, inputs: values.count, minutes })
      : await fuzz(target, limits);
    if (!failure) {
      console.log(`${target.name}: ${inputs} inputs, no failure`);
      continue;
    }
    failures++;
    console.log(`${target.name}: input ${inputs} failed: ${failure.error}`);
    console.log(`${target.name}: kept as ${keepCrasher(target.name, failure, seed)}`);
  }
  return failures === 0 ? 0 : 1;
}

/** A guided run, with a line that says what it reached. */
async function guided(target: FuzzTarget, limits: GuidedLimits): Promise<FuzzResult> {
  const result = await runGuided(target, limits);
  const [first, last] = result.reached;
  console.log(`${target.name}: reached ${last} places in the code, ${first} at the start`);
  return result;
}
