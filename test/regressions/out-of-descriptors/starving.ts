/** A process with few descriptors: probes a healthy target, then without any free descriptor, then with some again. */
import { closeSync, openSync } from 'node:fs';
import { createAlarms } from '../../../config/alarms.ts';
import { startHealth } from '../../../health/engine.ts';
import { createHealthTable } from '../../../health/health-table.ts';
import { execCheck, httpCheck, tcpCheck, vip } from '../../unit/health/support.ts';

const port = Number(process.argv[2]);
const alarms = createAlarms();
const downs: string[] = [];
const health = startHealth({
  stateDir: undefined,
  alarms,
  warn: () => undefined,
  log: ({ target, to }) => {
    if (to === 'down') downs.push(target);
  },
});
const timing = { intervalMs: 100, fastMs: 50, timeoutMs: 1000, fall: 2, rise: 1 };
const checks = [httpCheck({ ...timing, watch: false }), tcpCheck({ ...timing, watch: false }), execCheck(timing)];
const targets = checks.map((check, slot) => vip({ slot, target: `x/${check.kind}`, check, host: '127.0.0.1', port }));
health.configure(targets, createHealthTable(3), 3);
await health.firstRound;

const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 10));
};
const taken: number[] = [];
const take = (): void => {
  try {
    for (;;) taken.push(openSync('/dev/null', 'r'));
  } catch {
    // All are taken.
  }
};
const taking = setInterval(take, 5);
take();
const before = health.stats().notProbed;
await until(() => health.stats().notProbed >= before + 12);
const starved = {
  states: health.list().map(({ probed }) => probed),
  alarms: alarms.list().map(({ code, message }) => `${code}: ${message}`),
};
clearInterval(taking);
for (const fd of taken) closeSync(fd);
await until(() => alarms.list().length === 0);
console.log(JSON.stringify({ starved, after: health.list().map(({ probed }) => probed), downs }));
await health.stop();
