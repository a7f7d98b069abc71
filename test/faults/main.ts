/** `npm run faults`: see run-faults.ts. */
import { createDice } from '../support/random.ts';
import { scriptOptions } from '../support/script-options.ts';
import { FAULTS } from './faults-library.ts';
import { pauseProcess } from './pause.ts';
import { PHASES, runFaults, type FaultTrial } from './run-faults.ts';

const HELP = `npm run faults -- [OPTION ...]
  --phase NAME   ${PHASES.join(', ')}; repeatable; all by default
  --call NAME    one system call, such as write; all by default
  --most N       fails N calls of each kind, one per trial; 3 by default
  --first N      leaves out the first N calls; 0 by default
  --sample N     N random trials in place of all
  --seed N       repeats the choice of --sample
  --pause S      in place of these: the process stands still for S seconds, such as 30
`;

const values = scriptOptions(HELP, {
  phase: { type: 'string', multiple: true },
  call: { type: 'string' },
  most: { type: 'number', default: 3 },
  first: { type: 'number', default: 0 },
  sample: { type: 'number' },
  seed: { type: 'number' },
  pause: { type: 'number' },
});

if (values.pause !== undefined) {
  await pauseProcess(values.pause * 1000);
  console.log(`faults: after ${values.pause} s, every target is up and answers continue`);
} else {
  const seed = values.seed ?? Math.floor(Math.random() * 0x7fff_ffff);
  const phases = PHASES.filter((phase) => values.phase?.includes(phase) ?? true);
  const faults = FAULTS.filter(({ call }) => values.call === undefined || call === values.call);
  const all = phases.flatMap((phase) =>
    faults.flatMap((fault) =>
      Array.from({ length: values.most }, (_, at): FaultTrial => ({
        phase,
        fault: { ...fault, before: values.first + at },
      })),
    ),
  );
  const trials = values.sample === undefined ? all : createDice(seed).sample(all, values.sample);
  console.log(`faults: ${trials.length} trials, seed ${seed}`);
  const outcomes = await runFaults(trials, ({ phase, fault, hit, outcome, problem }) => {
    const { call, error, before } = fault;
    console.log(`faults: ${phase}: ${call} ${error} after ${before}: ${hit ? outcome : 'not reached'}${problem === undefined ? '' : `: ${problem}`}`); // prettier-ignore
  });
  const hits = outcomes.filter(({ hit }) => hit).length;
  const problems = outcomes.filter(({ problem }) => problem !== undefined).length;
  console.log(`faults: ${hits} calls failed, ${problems} promises broken`);
  process.exitCode = problems === 0 ? 0 : 1;
}
