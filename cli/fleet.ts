/**
 * `pharos fleet`: the nodes of the fleet that a running server belongs to, and how they vote on each target.
 */
import {
  heardWords,
  type FleetDocument,
  type FleetNodeDocument,
  type FleetTargetDocument,
} from '../status/fleet-document.ts';
import { callApi, shownUrl, type Api } from './api-client.ts';
import { reach, type ReachOptions } from './find-server.ts';
import { EXIT, fail, plural, table, type Output } from './output.ts';

/** `all`: every target; otherwise those on which not all voters agree. */
export type FleetCommandOptions = ReachOptions & { readonly json: boolean; readonly all: boolean };

export async function runFleet(options: FleetCommandOptions, output: Output): Promise<number> {
  const found = reach(options);
  if (!found.ok) return fail('fleet', found.message, found.usage ? EXIT.USAGE : EXIT.FAILED, output);
  const reply = await callApi(found.api, 'GET', '/api/v1/fleet');
  if (!reply.ok) return fail('fleet', reply.message, EXIT.FAILED, output);
  const { value } = reply;
  if (!isFleetDocument(value)) {
    return fail('fleet', `${shownUrl(found.api)} is not a Pharos server of this version`, EXIT.FAILED, output);
  }
  if (options.json) output.out(JSON.stringify(value, undefined, 2));
  else output.out(render(value, found.api, options.all, output.style));
  return value.enabled ? EXIT.OK : EXIT.FAILED;
}

/** Forgets a node that has left permanently. */
export async function forgetNode(
  node: string,
  options: ReachOptions & { readonly json: boolean; readonly local: boolean },
  output: Output,
): Promise<number> {
  const found = reach(options);
  if (!found.ok) return fail('fleet', found.message, found.usage ? EXIT.USAGE : EXIT.FAILED, output);
  const path = `/api/v1/fleet/nodes/${encodeURIComponent(node)}${options.local ? '?scope=node' : ''}`;
  const reply = await callApi(found.api, 'DELETE', path);
  if (!reply.ok) return fail('fleet', reply.message, EXIT.FAILED, output);
  const where = options.local ? 'by this node' : 'by all nodes';
  output.out(
    options.json ? JSON.stringify(reply.value, undefined, 2) : `${node}: forgotten ${where}, until it is heard again`,
  );
  return EXIT.OK;
}

type Paint = Output['style'];

function render(fleet: FleetDocument, api: Api, all: boolean, paint: Paint): string {
  if (!fleet.enabled) return `The server at ${shownUrl(api)} is not part of a fleet: pharos.yaml has no key fleet.`;
  const nodes = fleet.nodes.length;
  const fresh = fleet.nodes.filter((node) => node.state !== 'lost').length;
  const heard = heardWords({ ...fleet, nodes, fresh });
  const state = paint(fleet.alone ? 'red' : heard.isWell ? 'green' : 'yellow', heard.text);
  const head = `${paint('bold', `Fleet ${fleet.name ?? ''}`)}, seen by ${fleet.node ?? ''} (${fleet.region ?? ''}): ${state}`;
  const own = fleet.nodes.find((node) => node.state === 'self')?.config;
  const list = table([
    ['NODE', 'REGION', 'STATE', 'HEARD', 'CLOCK', 'VERSION', 'CONFIGURATION', 'SERIALS', 'PROBES', 'ORDERS'],
    ...fleet.nodes.map((node) => nodeRow(node, own, paint)),
  ]);
  const shown = fleet.targets.filter((target) => all || !isAgreed(target));
  const rest = fleet.targets.length - shown.length;
  const others = plural(rest, shown.length === 0 ? 'target' : 'other target');
  const agreed = rest === 0 ? [] : [`All voters agree on ${others} (--all shows them).`];
  const votes =
    shown.length === 0
      ? []
      : [table([['TARGET', 'VERDICT', 'REGIONS', 'VOTERS'], ...shown.map((target) => targetRow(target, paint))])];
  return [head, list, ...votes, ...agreed].join('\n\n');
}

function nodeRow(node: FleetNodeDocument, own: string | null | undefined, paint: Paint): readonly string[] {
  const { last_heard_ms: heard, clock_difference_ms: clock, config } = node;
  const isSelf = node.state === 'self';
  return [
    node.node,
    node.region ?? '-',
    paint(node.state === 'lost' ? 'red' : 'green', node.state),
    heard === null ? 'never' : isSelf ? '-' : `${(heard / 1000).toFixed(1)} s ago`,
    clock === null || isSelf ? '-' : `${clock > 0 ? '+' : ''}${String(clock)} ms`,
    node.version ?? '-',
    config === null ? '-' : config === own ? config.slice(0, 8) : paint('yellow', `${config.slice(0, 8)} (differs)`),
    serialsWords(node, paint),
    node.targets === null ? '-' : `${String(node.probed ?? '?')} of ${String(node.targets)}`,
    String(node.applied_revision ?? '-'),
  ];
}

/** This node's serial, if it has one zone; for other nodes, whether their serials are equal. */
function serialsWords({ state, zones, serials, serials_differ: differ }: FleetNodeDocument, paint: Paint): string {
  // A server of an earlier version does not report this.
  if (zones === null || serials === null || differ === null) return '-';
  const [first] = Object.values(serials);
  if (zones === 1 && first !== undefined)
    return differ === 0 ? String(first) : paint('yellow', `${String(first)} (differs)`);
  if (state === 'self' || differ > 0) {
    return differ > 0 ? paint('yellow', `${String(differ)} of ${String(zones)} differ`) : plural(zones, 'zone');
  }
  return `${plural(zones, 'zone')}, the same`;
}

function targetRow({ target, verdict, regions, voters }: FleetTargetDocument, paint: Paint): readonly string[] {
  const colour = verdict === 'up' ? 'green' : verdict === 'down' ? 'red' : 'yellow';
  const byRegion = regions.map(({ region, says }) => `${region} ${says === 'unknown' ? 'tied' : says}`).join(', ');
  const byNode = voters.map(({ node, vote, reason, fresh, probes }) => {
    if (!fresh) return `${node} lost`;
    if (!probes && vote === 'unknown') return `${node} not probing`;
    const isTold = reason !== null && (vote === 'down' || vote === 'abstain');
    return `${node} ${vote}${isTold ? ` (${reason})` : ''}`;
  });
  return [target, paint(colour, verdict), byRegion, byNode.join(', ')];
}

function isAgreed({ verdict, voters }: FleetTargetDocument): boolean {
  return voters.every(({ vote }) => vote === verdict || vote === 'unknown');
}

function isFleetDocument(value: unknown): value is FleetDocument {
  if (typeof value !== 'object' || value === null) return false;
  const { enabled, nodes, targets } = value as Readonly<Record<string, unknown>>;
  return typeof enabled === 'boolean' && Array.isArray(nodes) && Array.isArray(targets);
}
