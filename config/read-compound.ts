/**
 * Reads checks that combine others: `all_of`, `any_of` and `at_least`, in long or short form
 * (docs/health.md#all_of-any_of-at_least).
 *
 *     { type: all_of, of: [web, certificate] }      { all_of: [web, certificate] }
 *     { type: at_least, n: 2, of: [a, b, c] }       { at_least: 2, of: [a, b, c] }
 */
import { timeoutWithoutDefault, timingFields, timingOf, type CheckTiming } from './check-timing.ts';
import type { Report } from './diagnostics.ts';
import { integer, list, map, optional, text, valueOf, type Field, type Read } from './fields.ts';
import { MAX_COMPOUND_PROBES } from './limits.ts';
import { anyOf, described, oneOrMore, type JsonSchema } from './schema.ts';
import { nodePlace, type YamlNode } from './yaml.ts';

export const COMPOUND_KINDS = ['all_of', 'any_of', 'at_least'] as const;
type CompoundKind = (typeof COMPOUND_KINDS)[number];

export function isCompoundKind(kind: string): kind is CompoundKind {
  return COMPOUND_KINDS.some((known) => known === kind);
}

/** The number of members that must pass, and the members. */
type Combined<Member> = CheckTiming & { readonly needed: number; readonly members: readonly Member[] };

/** The properties of a check that may be a member. `expiresMs` marks a check without a probe. */
type Combinable = {
  readonly name: string;
  readonly timeoutMs: number;
  readonly expiresMs?: number;
  readonly members?: readonly Combinable[];
};

/** The check in the file, its name in messages, and the reader of its members. */
type Input<Member extends Combinable> = {
  readonly kind: CompoundKind;
  readonly node: YamlNode;
  readonly name: string;
  readonly report: Report;
  readonly member: Read<Member>;
};

/** A reader for this kind. It returns undefined for a mistake in the check or in a member, which has been reported. */
export function compoundReader(
  kind: CompoundKind,
): <Member extends Combinable>(input: Omit<Input<Member>, 'kind'>) => Combined<Member> | undefined {
  return (input) => readCompound({ ...input, kind });
}

const MEMBERS = oneOrMore(anyOf({ $ref: '#/definitions/check' }, { type: 'string', minLength: 1 }), 1, Infinity);

/** A check that needs a number has one of these keys. */
export const COUNT_KEYS = ['n', 'at_least'];

/** A check has one of these keys, with its members. */
export function memberKeys(kind: CompoundKind): readonly string[] {
  return kind === 'at_least' ? ['of', 'checks'] : ['of', 'checks', kind];
}

/** The reader of the keys of a kind. Members and numbers are read later, once the key in use is known. */
export function compoundKeys(kind: CompoundKind) {
  const later = (schema: JsonSchema): Field<true | undefined> => optional<true>(described(schema, () => true));
  const members = later(MEMBERS);
  const count = later({ type: 'integer', minimum: 1 });
  const timing = { ...timingFields, timeout: timeoutWithoutDefault, type: optional(text()) };
  return kind === 'at_least'
    ? map('check', { ...timing, of: members, checks: members, at_least: count, n: count })
    : map('check', { ...timing, of: members, checks: members, [kind]: members });
}

function readCompound<Member extends Combinable>(input: Input<Member>): Combined<Member> | undefined {
  const { kind, node, name, report } = input;
  const read = compoundKeys(kind)(node, name, report);
  if (!read) return undefined;
  const membersNode = oneOf(input, memberKeys(kind), 'of: [web, tls]');
  const members = membersNode && readMembers(input, membersNode);
  const needed = members && readNeeded(input, members.length);
  if (!needed) return undefined;
  // The check waits at least as long as its slowest member may take.
  const timeout = read.timeout ?? Math.max(...members.map(({ timeoutMs }) => timeoutMs));
  return { ...timingOf({ ...read, timeout }, node, report), needed, members };
}

/** The value of the one key of `keys` that is present. All of them have the same meaning. */
function oneOf(
  { node, name, report }: Pick<Input<Combinable>, 'node' | 'name' | 'report'>,
  keys: readonly string[],
  example: string,
): YamlNode | undefined {
  const [found, second] = keys.filter((key) => valueOf(node, key) !== undefined);
  if (found === undefined) {
    const place = nodePlace(node.kind === 'map' ? (node.entries[0]?.key ?? node) : node);
    report.error('PH012', `${name} needs the key ${keys[0] ?? ''}`, place, `such as ${example}`);
    return undefined;
  }
  if (second !== undefined) {
    const place = nodePlace(valueOf(node, second) ?? node, 0, 1);
    report.error('PH052', `${name} has both ${found} and ${second}, which mean the same`, place, 'keep one of them');
    return undefined;
  }
  return valueOf(node, found);
}

function readMembers<Member extends Combinable>(
  { kind, name, report, member }: Input<Member>,
  node: YamlNode,
): readonly Member[] | undefined {
  const names = new Set<string>();
  const each: Read<Member> = (item, _, inner) => {
    const spec = member(item, `a check of ${name}`, inner);
    if (spec?.expiresMs !== undefined) {
      const hint = 'it is reported, not probed: use it as the check of the service, or use another kind here';
      inner.error('PH051', `${spec.name} is a push check and cannot be part of another check`, nodePlace(item), hint);
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
  // A member with errors has been reported. Without it this would be a different check.
  const count = node.kind === 'list' ? node.items.length : 1;
  if (members === undefined || members.length === 0 || members.length < count) return undefined;
  const probes = members.reduce((sum, spec) => sum + probesOf(spec), 0);
  if (probes <= MAX_COMPOUND_PROBES) return members;
  const message = `${name} makes ${probes} probes, and a check may make at most ${MAX_COMPOUND_PROBES}`;
  report.error('PH052', message, nodePlace(node, 0, 1), 'name fewer checks');
  return undefined;
}

function readNeeded<Member extends Combinable>(input: Input<Member>, members: number): number | undefined {
  if (input.kind === 'all_of') return members;
  if (input.kind === 'any_of') return 1;
  const node = oneOf(input, COUNT_KEYS, 'at_least: 2');
  const hint = `how many of the ${members} have to pass`;
  return node && integer({ min: 1, max: members, code: 'PH052', hint })(node, 'at_least', input.report);
}

/** Probes per run of the check. */
function probesOf({ members }: Combinable): number {
  return members === undefined ? 1 : members.reduce((sum, member) => sum + probesOf(member), 0);
}
