/**
 * Checks that are made of others (SPEC 5): `all_of`, `any_of` and `at_least`, in full or in short.
 *
 *     { type: all_of, of: [web, certificate] }      { all_of: [web, certificate] }
 *     { type: at_least, n: 2, of: [a, b, c] }       { at_least: 2, of: [a, b, c] }
 */
import { timeoutWithoutDefault, timingFields, timingOf } from './check-timing.ts';
import type { Report } from './diagnostics.ts';
import { integer, list, map, optional, text, valueOf, type Read } from './fields.ts';
import { MAX_COMPOUND_PROBES } from './limits.ts';
import type { CheckSpec, CompoundSpec } from './settings.ts';
import { nodePlace, type YamlNode } from './yaml.ts';

export const COMPOUND_KINDS = ['all_of', 'any_of', 'at_least'] as const;
type CompoundKind = (typeof COMPOUND_KINDS)[number];

export function isCompoundKind(kind: string): kind is CompoundKind {
  return COMPOUND_KINDS.some((known) => known === kind);
}

/** What is read, where it stands, and how a member of it is read. */
type Input = {
  readonly kind: CompoundKind;
  readonly checkName: string;
  readonly node: YamlNode;
  readonly name: string;
  readonly report: Report;
  readonly member: Read<CheckSpec>;
};

/** Undefined when it is wrong, or a member of it is; all of that has been reported. */
export function readCompound(input: Input): CompoundSpec | undefined {
  const { kind, checkName, node, name, report } = input;
  // Read below, where it is known which of the keys counts.
  const later = optional<true>(() => true);
  const timing = { ...timingFields, timeout: timeoutWithoutDefault, type: optional(text()) };
  const read =
    kind === 'at_least'
      ? map('check', { ...timing, of: later, checks: later, at_least: later, n: later })(node, name, report)
      : map('check', { ...timing, of: later, checks: later, [kind]: later })(node, name, report);
  if (!read) return undefined;
  const membersNode = oneOf(input, kind === 'at_least' ? ['of', 'checks'] : ['of', 'checks', kind], 'of: [web, tls]');
  const members = membersNode && readMembers(input, membersNode);
  const needed = members && readNeeded(input, members.length);
  if (!needed) return undefined;
  // A member that is given all its time shall not be cut short by what it is a part of.
  const timeout = read.timeout ?? Math.max(...members.map(({ timeoutMs }) => timeoutMs));
  return { name: checkName, kind, ...timingOf({ ...read, timeout }, node, report), needed, members };
}

/** The value of the one key of several that is there. */
function oneOf({ node, name, report }: Input, keys: readonly string[], example: string): YamlNode | undefined {
  const [found, second] = keys.filter((key) => valueOf(node, key) !== undefined);
  if (found === undefined) {
    const place = nodePlace(node.kind === 'map' ? (node.entries[0]?.key ?? node) : node);
    report.error('PH012', `${name} needs the key ${keys[0] ?? ''}`, place, `such as ${example}`);
    return undefined;
  }
  if (second !== undefined) {
    const place = nodePlace(valueOf(node, second) ?? node, 0, 1);
    report.error('PH052', `${name} has both ${found} and ${second}, which say the same`, place, 'keep one of them');
    return undefined;
  }
  return valueOf(node, found);
}

function readMembers({ kind, name, report, member }: Input, node: YamlNode): readonly CheckSpec[] | undefined {
  const names = new Set<string>();
  const each: Read<CheckSpec> = (item, _, inner) => {
    const spec = member(item, `a check of ${name}`, inner);
    if (spec?.kind === 'push') {
      const hint = 'it is reported, not probed: give it to the service as its own check, or use another kind here';
      inner.error('PH051', `${spec.name} is a push check, and no part of another check`, nodePlace(item), hint);
      return undefined;
    }
    if (spec === undefined || item.kind !== 'scalar') return spec;
    if (names.has(spec.name)) {
      inner.error('PH052', `${name} names ${spec.name} twice`, nodePlace(item), 'each check counts once: remove one');
      return undefined;
    }
    names.add(spec.name);
    return spec;
  };
  const members = list(each, { min: 1, hint: `such as ${kind}: [web, certificate]` })(node, name, report);
  // One that is wrong has been reported; without it this would be another check.
  const count = node.kind === 'list' ? node.items.length : 1;
  if (members === undefined || members.length === 0 || members.length < count) return undefined;
  const probes = members.reduce((sum, spec) => sum + probesOf(spec), 0);
  if (probes <= MAX_COMPOUND_PROBES) return members;
  const message = `${name} comes to ${probes} probes, and at most ${MAX_COMPOUND_PROBES} make one check`;
  report.error('PH052', message, nodePlace(node, 0, 1), 'name fewer checks');
  return undefined;
}

function readNeeded(input: Input, members: number): number | undefined {
  if (input.kind === 'all_of') return members;
  if (input.kind === 'any_of') return 1;
  const node = oneOf(input, ['n', 'at_least'], 'at_least: 2');
  const hint = `how many of the ${members} have to pass`;
  return node && integer({ min: 1, max: members, code: 'PH052', hint })(node, 'at_least', input.report);
}

/** How many probes a run of the check makes. */
function probesOf(spec: CheckSpec): number {
  return 'members' in spec ? spec.members.reduce((sum, member) => sum + probesOf(member), 0) : 1;
}
