/**
 * `node bench/fleet-scale.ts`: simulates a week of a large fleet, and compares it with other ways to decide
 * (docs/scaling.md).
 */
import type { LedgerReport, Times } from '../test/support/fleet-ledger.ts';
import { messageSizes, trafficOf } from '../test/support/fleet-messages.ts';
import { DEFAULT_TIMING } from '../test/support/fleet-probing.ts';
import { runWeek, type WeekReport } from '../test/support/fleet-week.ts';
import { createWorld, type WorldSize } from '../test/support/fleet-world.ts';
import { createDice } from '../test/support/random.ts';
import { scriptOptions } from '../test/support/script-options.ts';
import { measureListening } from './fleet-listening.ts';

const HELP = `node bench/fleet-scale.ts [--nodes 200] [--regions 20] [--targets 5000] [--sites 50] [--hours 168] [--seed N]
  a week of the default fleet takes 18 minutes of CPU time; --hours 3 some ten seconds
`;

const values = scriptOptions(HELP, {
  nodes: { type: 'number', default: 200 },
  regions: { type: 'number', default: 20 },
  targets: { type: 'number', default: 5000 },
  sites: { type: 'number', default: 50 },
  hours: { type: 'number', default: 168 },
  seed: { type: 'number', default: Math.floor(Math.random() * 1e9) },
});
run();

function run(): void {
  const { nodes, regions, targets, sites, hours, seed } = values;
  const size: WorldSize = { nodes, regions, targets, sites, durationMs: hours * 3_600_000 };
  const dice = createDice(seed);
  const world = createWorld(size, dice);
  const { intervalMs, fastMs, timeoutMs, rise, fall } = DEFAULT_TIMING;
  say(`${nodes} nodes, ${regions} regions, ${targets} targets at ${sites} sites, ${hours} simulated hours, --seed ${seed}`); // prettier-ignore
  say(`checks: interval ${intervalMs / 1000} s, fast ${fastMs / 1000} s, timeout ${timeoutMs / 1000} s, rise ${rise}, fall ${fall}; quorum majority, probers as by default`); // prettier-ignore
  const kinds = Map.groupBy(world.faults, ({ kind }) => kind);
  say(`faults: ${[...kinds].map(([kind, faults]) => `${faults.length} ${kind}`).join(', ')}`);
  const before = process.cpuUsage();
  const report = runWeek({ world, dice });
  const { user, system } = process.cpuUsage(before);
  sayDecisions(size, report);
  sayProbes(size, report);
  sayTraffic(size, report);
  sayListening(size);
  say(`\nCPU time of the simulation: ${Math.round((user + system) / 1e6)} s`);
}

function sayDecisions(size: WorldSize, { fleet, share, alone, lock, falseWhileCutOff }: WeekReport): void {
  const { regions } = size;
  const row = (name: string, observers: number, report: LedgerReport): void => {
    const { falseFailovers, apart, failures, missed, lastMs, spreadMs, recoveredMs } = report;
    const cells = [falseFailovers / observers, apart / observers, failures, missed / observers].map((value) =>
      round(value),
    );
    say([name.padEnd(22), ...cells.map((cell) => cell.padStart(10)), times(lastMs), times(spreadMs), times(recoveredMs)].join('  ')); // prettier-ignore
  };
  say(
    '\nper node: failovers from usable targets, and (apart) from those that a split kept from the node and its clients; failures of more than 30 s; those that were not noticed',
  );
  say('times, median and worst: failure to last node, first to last node, end of failure to last node');
  say(`${''.padEnd(22)}       false       apart    failures      missed        noticed by all         between nodes         recovered by all`); // prettier-ignore
  row('fleet, majority', regions, fleet);
  row('18 % of probers', regions, share);
  row('one lock per target', 1, lock);
  row('each node alone', regions, alone);
  say(`fleet: targets falsely down on any node ${fleet.falseTargets}, missed by any ${fleet.missedTargets}; false failovers of nodes while they were cut off: ${falseWhileCutOff}`); // prettier-ignore
}

function sayProbes({ nodes, targets, durationMs }: WorldSize, report: WeekReport): void {
  const regular = report.probers / (DEFAULT_TIMING.intervalMs / 1000);
  const doubts = (report.probesInDoubt + report.probesComputed) / targets / (durationMs / 1000);
  const alone = nodes / (DEFAULT_TIMING.intervalMs / 1000);
  say('\nprobes per second of a target');
  say(`fleet: ${report.probers} probers, ${round(regular)} regular, ${round(doubts, 3)} in doubt, at most ${report.peakProbes} in one second (upper bounds)`); // prettier-ignore
  say(`each node alone: ${round(alone)}; one lock per target: ${round(1 / (DEFAULT_TIMING.intervalMs / 1000))}`);
}

function sayTraffic(size: WorldSize, report: WeekReport): void {
  const sizes = messageSizes(size.targets);
  const { messages, octets } = trafficOf(size, report, sizes);
  const seconds = size.durationMs / 1000;
  const [sent, sentOctets] = [messages / seconds / size.nodes, octets / seconds / size.nodes];
  const peers = size.nodes - 1;
  say(`\nmessages per second (a heartbeat has ${sizes.short} octets, with all votes ${sizes.full})`);
  say(`a node sends ${round(sent, 3)} (${round(sentOctets)} octets) and receives ${round(sent * peers)} (${octetsOf(sentOctets * peers)})`); // prettier-ignore
  say(`all nodes together send ${round(sent * size.nodes)} (${octetsOf(sentOctets * size.nodes)}), NATS delivers ${round(sent * peers * size.nodes)} (${octetsOf(sentOctets * peers * size.nodes)})`); // prettier-ignore
  say(`changed votes: ${round(report.changes)} in ${round(report.changeMessages)} messages`);
}

function sayListening({ nodes, targets }: WorldSize): void {
  const { joinMs, secondMs, lostMs } = measureListening(nodes, targets);
  say(`CPU time of a node: ${round(secondMs)} ms per second for heartbeats, ${round(joinMs)} ms when all nodes start, ${round(lostMs)} ms when one is lost`); // prettier-ignore
}

function times({ medianMs, worstMs }: Times): string {
  return `${round(medianMs / 1000, 2)} s ${round(worstMs / 1000, 2)} s`.padStart(20);
}

function round(value: number, digits = 1): string {
  return Number(value.toFixed(digits)).toLocaleString('en-US', { maximumFractionDigits: digits });
}

function octetsOf(octets: number): string {
  return octets < 1e6 ? `${round(octets / 1e3)} kB` : `${round(octets / 1e6)} MB`;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
