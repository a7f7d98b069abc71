/** A health room in a network namespace: probes the given addresses, and reports their states ten times per second. */
import { createAlarms } from '../../../config/alarms.ts';
import { startHealth } from '../../../health/engine.ts';
import { createHealthTable } from '../../../health/health-table.ts';
import { tcpCheck, vip } from '../../unit/health/support.ts';

const [port, ...addresses] = process.argv.slice(2);
const alarms = createAlarms();
const downs: string[] = [];
const health = startHealth({
  stateDir: undefined,
  alarms,
  suspect: () => 0.7,
  warn: () => undefined,
  log: ({ target, to }) => {
    if (to === 'down') downs.push(target);
  },
});
// Linux may take a second to see that a link is down or up (its linkwatch), and longer on a busy machine.
const check = tcpCheck({ intervalMs: 1300, fastMs: 100, timeoutMs: 1200, fall: 8, rise: 1, watch: false });
const targets = addresses.map((host, slot) => vip({ slot, target: host, check, host, port: Number(port) }));
health.configure(targets, createHealthTable(targets.length), targets.length);
setInterval(() => {
  const vips = health.list();
  const seen = {
    states: vips.map(({ probed }) => probed),
    reasons: vips.map(({ last }) => last?.reason ?? ''),
    alarms: alarms.list().map(({ code }) => code),
    probes: health.stats().probes,
    downs,
  };
  console.log(JSON.stringify(seen));
}, 100);
