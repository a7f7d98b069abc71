/**
 * Reads the checks of pharos.yaml, zone files and services (docs/configuration.md#checks).
 */
import { CHECK_KINDS, checkSchema, readCheckOfKind, type CheckKind, type CheckSpec } from './check-kinds.ts';
import type { Report, ReportOnce } from './diagnostics.ts';
import { choice, dictionary, entriesOf, text, valueOf, type Read } from './fields.ts';
import { MAX_COMPOUND_DEPTH } from './limits.ts';
import { nearestHint } from './nearest-word.ts';
import { COMPOUND_KINDS, isCompoundKind } from './read-compound.ts';
import { anyOf, described, like, openMap, type JsonSchema } from './schema.ts';
import { nodePlace, type YamlNode } from './yaml.ts';

/** Finds a check by name. Returns undefined for one that is unknown or cannot be used, which it reports. */
export type FindCheck = (named: string, node: YamlNode, report: Report) => CheckSpec | undefined;

/** Finds checks among those already read. Naming a `broken` one, which has been reported, is not a second error. */
export function findAmong(
  known: ReadonlyMap<string, CheckSpec>,
  broken: ReadonlySet<string>,
  once: ReportOnce,
): FindCheck {
  return (named, node) => {
    const found = known.get(named);
    if (!found && !broken.has(named)) {
      const hint = nearestHint(named, [...known.keys(), ...broken]);
      once(`check ${named}`, 'PH207', `unknown check "${named}"`, nodePlace(node), hint);
    }
    return found;
  };
}

/** Definitions of the whole file's schema, since checks are in checks. */
const CHECK: JsonSchema = { $ref: '#/definitions/check' };
const CHECK_OR_NAME = anyOf(CHECK, { type: 'string', minLength: 1 });
export const CHECK_DEFINITIONS = (): Readonly<Record<string, JsonSchema>> => ({ check: checkSchema() });

/** Reads one check. `checkName` is its name in the status page and the log; `find` finds its members. */
export function checkField(checkName: string, find: FindCheck): Read<CheckSpec> {
  return described(checkSchema, (node: YamlNode, name: string, report: Report): CheckSpec | undefined => {
    if (!entriesOf(node, name, report)) return undefined;
    const kind = readKind(node, name, report);
    return kind && readCheckOfKind(kind, checkName, { node, name, report, member: checkOrName(undefined, find) });
  });
}

/** Reads the name of a check, or a check, which gets the name `checkName`. */
export function checkOrName(checkName: string | undefined, find: FindCheck): Read<CheckSpec> {
  return described(CHECK_OR_NAME, (node: YamlNode, name: string, report: Report): CheckSpec | undefined => {
    if (node.kind === 'map') return checkField(checkName ?? (kindOf(node) || 'check'), find)(node, name, report);
    const named = text({ hint: 'the name of a check, or a check: { type: tcp, port: 443 }' })(node, name, report);
    return named === undefined ? undefined : find(named, node, report);
  });
}

/** Reads the same, or `none`: no check in place of that of the service. */
export function checkOrNone(checkName: string, find: FindCheck): Read<CheckSpec | 'none'> {
  const read = checkOrName(checkName, find);
  return like(read, (node: YamlNode, name: string, report: Report): CheckSpec | 'none' | undefined =>
    node.kind === 'scalar' && node.text === 'none' ? 'none' : read(node, name, report),
  );
}

/** Reads checks by name. They may refer to each other, in any order, and to `shared` ones, which they shadow. */
export function checks(shared: ReadonlyMap<string, CheckSpec> = new Map()): Read<ReadonlyMap<string, CheckSpec>> {
  return described(openMap(CHECK), (node: YamlNode, name: string, report: Report) => {
    const entries = dictionary(({ key, value }) => [key.text, value] as const)(node, name, report);
    if (!entries) return undefined;
    const nodes = new Map(entries);
    /** Undefined: has errors, which have been reported. */
    const done = new Map<string, CheckSpec | undefined>();
    const open: string[] = [];

    const read = (each: string, value: YamlNode): CheckSpec | undefined => {
      if (done.has(each)) return done.get(each);
      open.push(each);
      const spec = checkField(each, find)(value, `check ${each}`, report);
      open.pop();
      done.set(each, spec);
      return spec;
    };
    const find: FindCheck = (named, at, inner) => {
      const value = nodes.get(named);
      if (value === undefined) {
        const found = shared.get(named);
        const names = [...nodes.keys(), ...shared.keys()].filter((known) => !open.includes(known));
        if (!found) inner.error('PH207', `unknown check "${named}"`, nodePlace(at), nearestHint(named, names));
        return found;
      }
      const circle = open.includes(named) ? [...open.slice(open.indexOf(named)), named] : undefined;
      if (circle !== undefined) {
        const message = `check ${named} refers to itself: ${circle.join(' -> ')}`;
        inner.error('PH050', message, nodePlace(at), 'remove one of these references');
        return undefined;
      }
      if (open.length >= MAX_COMPOUND_DEPTH && !done.has(named)) {
        const message = `checks refer to each other more than ${MAX_COMPOUND_DEPTH} levels deep`;
        inner.error('PH050', message, nodePlace(at), 'list the checks at the end of the chain here');
        return undefined;
      }
      return read(named, value);
    };

    const found = new Map<string, CheckSpec>();
    for (const [each, value] of entries) {
      const spec = read(each, value);
      if (spec) found.set(each, spec);
    }
    return found;
  });
}

/** The kind that the check states; empty: none. */
function kindOf(node: YamlNode): string {
  const type = valueOf(node, 'type');
  if (type) return type.kind === 'scalar' ? type.text : '';
  return COMPOUND_KINDS.find((kind) => valueOf(node, kind)) ?? '';
}

function readKind(node: YamlNode, name: string, report: Report): CheckKind | undefined {
  const type = valueOf(node, 'type');
  if (!type) {
    // `{ all_of: [web, tls] }` states its kind without `type`.
    const short = kindOf(node);
    if (isCompoundKind(short)) return short;
    const place = nodePlace(node.kind === 'map' ? (node.entries[0]?.key ?? node) : node);
    report.error('PH012', `${name} needs the key type`, place, `one of ${CHECK_KINDS.join(', ')}`);
    return undefined;
  }
  return choice(CHECK_KINDS, { code: 'PH040' })(type, `type of ${name}`, report);
}
