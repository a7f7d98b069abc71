/**
 * PowerDNS: a master file, the output of `pdnsutil list-zone` or a transfer, with LUA records. Those whose functions
 * have an equivalent become services.
 */
import type { Report } from '../../config/diagnostics.ts';
import { nameKey, type Name } from '../../wire/name.ts';
import { typeNumber } from '../../wire/types.ts';
import { note, type ZoneDraft } from './draft.ts';
import { fromBind } from './from-bind.ts';
import { choiceOf, type LuaChoice, type LuaContext } from './lua-choice.ts';
import { addLuaService } from './lua-service.ts';
import { LuaError, parseLua, type LuaStatement } from './lua-syntax.ts';
import { nameIn } from './values.ts';

/** `type`: the type of the answers; LUA for a record that others include. */
type LuaRecord = { readonly owner: Name; readonly type: string; readonly ttlSeconds: number; readonly script: string };

/** Deepest nesting of `include`. */
const MAX_INCLUDE_DEPTH = 8;

/** As `fromBind`. */
export function fromPowerdns(path: string, apex: Name | undefined, report: Report): ZoneDraft | undefined {
  const records: LuaRecord[] = [];
  const draft = fromBind(path, apex, report, (zone, owner, ttlSeconds, data) => {
    const [, type = '', quoted = ''] = /^(\S+)\s*([^]*)$/.exec(data) ?? [];
    const known = records.find((each) => each.type === type.toUpperCase() && nameKey(each.owner) === nameKey(owner));
    if (known) note(zone, 'dropped', owner, `a second LUA record of ${type}: ${plainScript(quoted)}`);
    else records.push({ owner, type: type.toUpperCase(), ttlSeconds, script: plainScript(quoted) });
  });
  if (!draft) return undefined;
  const byOwner = Map.groupBy(
    records.filter(({ type }) => type !== 'LUA'),
    ({ owner }) => nameKey(owner),
  );
  for (const own of byOwner.values()) addOwner(draft, own, records);
  return draft;
}

/** PowerDNS joins the texts of a record. `\"` and `\\` are escapes of the master file. */
function plainScript(quoted: string): string {
  const parts = [...quoted.matchAll(/"((?:[^"\\]|\\[^])*)"/g)].map(([, part = '']) => part);
  const joined = parts.length > 0 ? parts.join('') : quoted;
  return joined.replace(/\\(\d{3}|[^])/g, (_whole, escaped: string) =>
    /^\d{3}$/.test(escaped) ? String.fromCharCode(Number(escaped)) : escaped,
  );
}

function addOwner(draft: ZoneDraft, own: readonly LuaRecord[], all: readonly LuaRecord[]): void {
  const steered = new Map<number, LuaChoice>();
  const used: LuaRecord[] = [];
  for (const record of own) {
    const { script } = record;
    const type = typeNumber(record.type);
    try {
      if (type === undefined) throw new LuaError(`${record.type}, which is not a type of DNS`);
      const context = contextOf(draft, record, all);
      const choice = choiceOf(parseLua(script), context);
      if (!choice) throw new LuaError('it returns nothing');
      steered.set(type, choice);
      used.push(record);
    } catch (error) {
      if (!(error instanceof LuaError)) throw error;
      drop(draft, record, error.message);
    }
  }
  const [first] = used;
  if (!first) return;
  const ttls = used.map(({ ttlSeconds }) => ttlSeconds);
  const ttlSeconds = Math.min(...ttls);
  if (ttls.some((ttl) => ttl !== ttlSeconds)) {
    note(draft, 'changed', first.owner, `its LUA records have different TTLs: both get the smaller, ${ttlSeconds}`);
  }
  try {
    addLuaService(draft, first.owner, ttlSeconds, steered);
  } catch (error) {
    if (!(error instanceof LuaError)) throw error;
    for (const record of used) drop(draft, record, error.message);
  }
}

function drop(draft: ZoneDraft, { owner, type, script }: LuaRecord, why: string): void {
  note(draft, 'dropped', owner, `LUA ${type} "${script}": ${why}`);
}

function contextOf(draft: ZoneDraft, { owner }: LuaRecord, all: readonly LuaRecord[]): LuaContext {
  let depth = 0;
  const include = (name: string): readonly LuaStatement[] => {
    const target = nameIn(name, draft.apex);
    const record = target && all.find((each) => each.type === 'LUA' && nameKey(each.owner) === nameKey(target));
    if (!record) throw new LuaError(`include of ${name}, which the zone does not have`);
    if (++depth > MAX_INCLUDE_DEPTH) throw new LuaError(`include of ${name}: records include each other too deeply`);
    return parseLua(record.script, true);
  };
  return {
    variables: new Map(),
    include,
    note: (message) => {
      note(draft, 'changed', owner, message);
    },
  };
}
