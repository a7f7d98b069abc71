/**
 * LUA records of one name as a service.
 */
import { parseAddress } from '../../wire/address.ts';
import { formatName, nameKey, type Name } from '../../wire/name.ts';
import { formatRdata } from '../../wire/rdata.ts';
import { TYPE, typeText } from '../../wire/types.ts';
import { countryOf } from './address-places.ts';
import { addCheck, addService, note, rrsetOf, type DraftValue, type VipDraft, type ZoneDraft } from './draft.ts';
import { fitWeights } from './geo-keys.ts';
import { isConstantPool, joinValues, type LuaChoice, type LuaMember, type LuaPool } from './lua-choice.ts';
import { isPlaceWithin, overtakes } from './lua-conditions.ts';
import { LuaError } from './lua-syntax.ts';
import { addText, labelOf, nameIn, oneOrList, readData, targetName } from './values.ts';

/** The choice of each type. */
export type LuaAnswers = ReadonlyMap<number, LuaChoice>;

/** A pool for clients of these keys; without a pool they have no answer. */
type Branch = { readonly keys: readonly string[]; readonly pool: LuaPool | undefined };

/**
 * The regions of a service with their members, the steps that choose among them, and the one that chooses within them.
 * Region '' is none. `isSplit`: a region has several members.
 */
type Plan = {
  readonly regions: ReadonlyMap<string, readonly LuaMember[]>;
  readonly choose: readonly DraftValue[];
  readonly within: string;
  readonly isSplit: boolean;
  readonly answers: number | undefined;
};

/** Adds a service, or records if the answer never changes. `ttlSeconds` is the smallest of the records. */
export function addLuaService(draft: ZoneDraft, owner: Name, ttlSeconds: number, answers: LuaAnswers): void {
  const noteHere = (message: string): void => {
    note(draft, 'changed', owner, message);
  };
  const all = new Map(
    [...answers].map(([type, choice]) => {
      return [type, branchesOf(COLUMNS.has(type) ? choice : joinValues(choice), noteHere)] as const;
    }),
  );
  const isFixed = (list: readonly Branch[]): boolean =>
    list.every(({ keys, pool }) => keys.includes('default') && pool !== undefined && isConstantPool(pool));
  const steersAddresses = [...all].some(([type, list]) => COLUMNS.has(type) && !isFixed(list));
  const branches = new Map<number, readonly Branch[]>();
  for (const [type, list] of all) {
    // The addresses of a name are all in its service, or none.
    if (!isFixed(list) || (steersAddresses && COLUMNS.has(type))) branches.set(type, list);
    else addConstant(draft, owner, type, ttlSeconds, list[0]?.pool);
  }
  if (branches.size === 0) return;
  const plans = new Map<number, Plan>();
  for (const [type, list] of branches) {
    const plan = planOf(list, noteHere);
    if (!plan) {
      addBranchNames(draft, owner, ttlSeconds, branches);
      return;
    }
    plans.set(type, plan);
  }
  addPlans(draft, owner, ttlSeconds, alike(draft, owner, plans));
}

function addConstant(draft: ZoneDraft, owner: Name, type: number, ttl: number, pool: LuaPool | undefined): void {
  for (const { value, more = [] } of pool?.groups.flat() ?? []) {
    for (const each of [value, ...more]) addText(draft, owner, type, ttl, valueText(type, each));
  }
}

/** PowerDNS takes names without a final dot as absolute, and a text without quotes as one string. */
function valueText(type: number, value: string): string {
  if (type === TYPE.CNAME) return value.replace(/\.?$/, '.');
  if (type !== TYPE.TXT || value.startsWith('"')) return value;
  return `"${value.replace(/["\\]/g, '\\$&')}"`;
}

/** The branches in order, with the keys of nested conditions, and without those that never apply. */
function branchesOf(choice: LuaChoice, noteHere: (message: string) => void): readonly Branch[] {
  const all = flat(choice, ['default'], noteHere);
  const seen: { readonly key: string; readonly at: number }[] = [];
  return all.map(({ keys, pool }, at) => {
    const kept = keys.filter((key) => {
      const cover = seen.find((earlier) => isPlaceWithin(key, earlier.key));
      if (cover && cover.at !== at)
        noteHere(`the condition for ${key} never applies: the one for ${cover.key} is before it`);
      return !cover;
    });
    for (const key of kept) {
      const overtaken = seen.find((earlier) => earlier.at !== at && overtakes(key, earlier.key));
      if (overtaken) {
        noteHere(
          `in PowerDNS the condition for ${overtaken.key} is before the one for ${key}; here ${key} is, since it is more specific`,
        );
      }
      seen.push({ key, at });
    }
    return { keys: kept, pool };
  });
}

function flat(choice: LuaChoice, within: readonly string[], noteHere: (message: string) => void): readonly Branch[] {
  if (choice.kind === 'pool') return [{ keys: within, pool: choice }];
  return choice.branches.flatMap(({ keys, choice: inner }): readonly Branch[] => {
    const common = [
      ...new Set(
        keys.flatMap((key) =>
          within.flatMap((outer) => (isPlaceWithin(key, outer) ? key : isPlaceWithin(outer, key) ? outer : [])),
        ),
      ),
    ];
    if (common.length === 0)
      noteHere(`the condition for ${keys.join(', ')} inside of one for ${within.join(', ')} never applies`);
    if (common.length === 0) return [];
    return inner ? flat(inner, common, noteHere) : [{ keys: common, pool: undefined }];
  });
}

/** Undefined if the branches differ in more than their values: then each needs a service. */
function planOf(branches: readonly Branch[], noteHere: (message: string) => void): Plan | undefined {
  const pools = branches.flatMap(({ pool }) => pool ?? []);
  const [first] = pools;
  if (!first) throw new LuaError('it gives no answer');
  const isWhole = branches.length === 1 && branches[0]?.keys.includes('default') === true;
  const common = pools.find(({ groups }) => groups.some((group) => group.length > 1)) ?? first;
  if (isWhole && common.step === 'nearest' && common.groups.length === 1) return nearestPlan(common);
  const step = stepOf(common, noteHere);
  if (pools.some((pool) => !isLike(pool, common))) return undefined;
  if (!isWhole && common.step === 'nearest') return undefined;
  const regions = new Map<string, readonly LuaMember[]>();
  const geo: Record<string, DraftValue> = {};
  const known = new Map<string, readonly string[]>();
  for (const { keys, pool } of branches) {
    const [key = ''] = keys;
    if (key === '') continue;
    if (!pool) {
      for (const each of keys) geo[each] = 'none';
      continue;
    }
    const text = JSON.stringify(pool.groups);
    const names = known.get(text) ?? namesOf(pool, isWhole ? '' : key);
    known.set(text, names);
    names.forEach((name, at) => regions.set(name, pool.groups[at] ?? []));
    for (const each of keys) geo[each] = oneOrList(names);
  }
  const names = [...regions.keys()];
  const choose: readonly DraftValue[] = !isWhole
    ? [{ geo, fence: true }]
    : names.length > 1
      ? [{ failover: names }]
      : [];
  const isSplit = [...regions.values()].some((members) => members.length > 1);
  const answers = common.answers > 1 && step !== 'all' ? common.answers : undefined;
  return { regions, choose, within: step, isSplit, answers };
}

function stepOf({ step, groups }: LuaPool, noteHere: (message: string) => void): string {
  if (step !== 'nearest' || groups.length === 1) return step;
  noteHere('pickclosest among the addresses of several groups becomes weighted: a VIP has one region');
  return 'weighted';
}

/** Whether two pools differ in their values only. */
function isLike(pool: LuaPool, other: LuaPool): boolean {
  if (pool.groups.every((group) => group.length <= 1)) return true;
  return pool.step === other.step && (pool.step === 'all' || pool.answers === other.answers);
}

function namesOf({ groups }: LuaPool, key: string): readonly string[] {
  const base = targetName(key.toLowerCase());
  if (groups.length === 1) return [key === '' ? '' : base];
  return groups.map((_, at) => `${key === '' ? 'group' : base}-${at + 1}`);
}

/** Each address is a region. */
function nearestPlan({ groups }: LuaPool): Plan {
  const members = groups.flat();
  return {
    regions: new Map(members.map((member) => [member.value, [member]])),
    choose: [],
    within: 'nearest',
    isSplit: true,
    answers: undefined,
  };
}

/** The plans that one service can have: that of the first type, and of others with the same steps and regions. */
function alike(draft: ZoneDraft, owner: Name, plans: ReadonlyMap<number, Plan>): ReadonlyMap<number, Plan> {
  const inOrder = [...plans].sort(([a], [b]) => Number(COLUMNS.has(b)) - Number(COLUMNS.has(a)));
  const [[firstType, first] = []] = inOrder;
  return new Map(
    inOrder.filter(([type, plan]) => {
      const isBesideName = firstType === TYPE.CNAME && type !== TYPE.CNAME;
      if (!first || plan === first || (!isBesideName && isAlike(plan, first))) return true;
      const why = isBesideName ? 'it is beside a CNAME' : `it differs from that of ${typeText(firstType ?? 0)}, and a service has the same steps for both`;
      note(draft, 'dropped', owner, `the LUA record of ${typeText(type)}: ${why}`);
      return false;
    }),
  ); // prettier-ignore
}

/**
 * A nearest step has other regions for A than for AAAA. The step within regions matters only to types that are split.
 */
function isAlike(plan: Plan, other: Plan): boolean {
  const namesOf = ({ regions, within }: Plan): readonly string[] => (within === 'nearest' ? [] : [...regions.keys()]);
  const chosen = (each: Plan): string => JSON.stringify([namesOf(each), each.choose]);
  if (chosen(plan) !== chosen(other)) return false;
  if (!(plan.isSplit && other.isSplit) && plan.choose.length > 0) return true;
  return plan.within === other.within && plan.answers === other.answers;
}

function addPlans(draft: ZoneDraft, owner: Name, ttlSeconds: number, plans: ReadonlyMap<number, Plan>): void {
  const [first] = plans.values();
  if (!first) return;
  const beside = takeBeside(draft, owner, plans);
  const all = [...vipsOf(draft, owner, plans), ...otherVips(draft, owner, plans)];
  const check = all[0]?.check;
  const isCommon = all.every((vip) => vip.check === check);
  const vips = all.map(({ check: own, ...vip }): VipDraft => ({
    ...vip,
    ...(vip.rrsets ? {} : beside),
    ...(isCommon || own === undefined ? {} : { check: own }),
  }));
  const { choose, within, isSplit, answers } = [...plans.values()].find((plan) => plan.isSplit) ?? first;
  addService(draft, {
    owner,
    ttl: ttlSeconds,
    ...(check === undefined || !isCommon ? {} : { check }),
    vips,
    steer: [...choose, ...(isSplit || choose.length === 0 ? [within] : [])],
    ...(answers === undefined ? {} : { answers }),
  });
}

const COLUMNS: ReadonlyMap<number, 'A' | 'AAAA' | 'CNAME'> = new Map([
  [TYPE.A, 'A'],
  [TYPE.AAAA, 'AAAA'],
  [TYPE.CNAME, 'CNAME'],
]);

/** VIPs with records of other types. A check of such a value connects to the address that the value is. */
function otherVips(draft: ZoneDraft, owner: Name, plans: ReadonlyMap<number, Plan>): VipDraft[] {
  return [...plans].flatMap(([type, { regions }]) => {
    if (COLUMNS.has(type)) return [];
    return [...regions].flatMap(([region, members]) => {
      const weights = fitWeights(members.map(({ weight }) => weight));
      const isEven = weights.every((weight) => weight === weights[0]);
      if (region !== '' && !draft.regions.has(region)) draft.regions.set(region, {});
      return members.flatMap(({ value, more = [], check, probe }, at): VipDraft[] => {
        const rdata = [value, ...more].flatMap((each) => readData(draft, owner, type, valueText(type, each)) ?? []);
        if (check && probe === undefined && !parseAddress(value)) {
          note(draft, 'dropped', owner, `${typeText(type)} ${value}: its check needs an address`);
          return [];
        }
        const base = `${region === '' ? 'vip' : region}-${typeText(type).toLowerCase()}`;
        if (rdata.length === 0) return [];
        return [
          {
            name: members.length === 1 ? base : `${base}-${at + 1}`,
            ...(region === '' ? {} : { region }),
            rrsets: [{ type, rdata }],
            ...(isEven ? {} : { weight: weights[at] ?? 1 }),
            ...(check === undefined ? {} : { probe: probe ?? value, check: addCheck(draft, check.type, check) }),
          },
        ];
      });
    });
  });
}

/** The members of the same region and place in the list are one VIP. */
function vipsOf(draft: ZoneDraft, owner: Name, plans: ReadonlyMap<number, Plan>): VipDraft[] {
  const [first] = plans.values();
  if (!first) return [];
  const isNear = first.within === 'nearest';
  const lists = [...plans].flatMap(([type, { regions }]) => (COLUMNS.has(type) ? { type, regions: [...regions] } : []));
  const rows = Math.max(0, ...lists.map(({ regions }) => regions.length));
  return Array.from({ length: rows }, (_, row) => row).flatMap((row) => {
    const own = lists.flatMap(({ type, regions }) => {
      const region = regions[row];
      return region ? [{ type, name: region[0], members: region[1] }] : [];
    });
    const name = own[0]?.name ?? '';
    if (isNear) addNearRegion(draft, owner, name, own[0]?.members[0]?.value ?? '');
    else if (name !== '' && !draft.regions.has(name)) draft.regions.set(name, {});
    const size = Math.max(...own.map(({ members }) => members.length));
    const longest = own.find(({ members }) => members.length === size)?.members ?? [];
    const weights = fitWeights(longest.map(({ weight }) => weight));
    const isEven = weights.every((weight) => weight === weights[0]);
    return Array.from({ length: size }, (_each, at): VipDraft => {
      const member = longest[at];
      const { check, probe } = member ?? {};
      const values = own.flatMap(({ type, members }) => {
        const value = members[at]?.value;
        const column = COLUMNS.get(type);
        return value === undefined || column === undefined ? [] : [[column, valueText(type, value)] as const];
      });
      return {
        name: name === '' ? `vip-${at + 1}` : size === 1 ? name : `${name}-${at + 1}`,
        ...(name === '' ? {} : { region: name }),
        ...Object.fromEntries(values),
        ...(isEven ? {} : { weight: weights[at] ?? 1 }),
        ...(probe === undefined ? {} : { probe }),
        ...(check === undefined ? {} : { check: addCheck(draft, check.type, check) }),
      };
    });
  });
}

/** PowerDNS locates the addresses in its own database. */
function addNearRegion(draft: ZoneDraft, owner: Name, name: string, address: string): void {
  const country = countryOf(address);
  const message =
    country === undefined
      ? `the position of ${address} is not known: give the region ${name} "at"`
      : `the region ${name} has the position of ${country}, the country of ${address} in the bundled database: check it`;
  note(draft, 'changed', owner, message);
  draft.regions.set(name, country === undefined ? {} : { at: country });
}

/** Takes static addresses out of the draft: a service has all addresses of its owner. */
function takeBeside(draft: ZoneDraft, owner: Name, plans: ReadonlyMap<number, Plan>): { A?: string; AAAA?: string } {
  const known = draft.owners.get(nameKey(owner));
  const beside: { A?: string; AAAA?: string } = {};
  if (!known) return beside;
  const steersAddresses = [...plans.keys()].some((type) => COLUMNS.has(type));
  for (const type of new Set([TYPE.A, TYPE.AAAA, TYPE.CNAME, ...plans.keys()])) {
    const rrset = rrsetOf(known, type);
    if (!rrset || (!steersAddresses && (type === TYPE.A || type === TYPE.AAAA))) continue;
    known.rrsets.splice(known.rrsets.indexOf(rrset), 1);
    const texts = rrset.rdata.map((rdata) => formatRdata(type, rdata));
    const [value, ...more] = texts;
    if (plans.has(type) || plans.has(TYPE.CNAME) || type === TYPE.CNAME || value === undefined) {
      note(draft, 'dropped', owner, `${typeText(type)} ${texts.join(', ')} beside a LUA record`);
      continue;
    }
    beside[type === TYPE.A ? 'A' : 'AAAA'] = value;
    const lost = more.length > 0 ? `; left out: ${more.join(', ')}` : '';
    note(draft, 'changed', owner, `every VIP gets the ${typeText(type)} that is not of a LUA record${lost}`);
  }
  return beside;
}

/** Adds a service for each branch under a new name. The owner gets CNAMEs of these names. */
function addBranchNames(
  draft: ZoneDraft,
  owner: Name,
  ttlSeconds: number,
  branches: ReadonlyMap<number, readonly Branch[]>,
): void {
  const [[, first = []] = []] = branches;
  const keysOf = (list: readonly Branch[]): string => JSON.stringify(list.map(({ keys }) => keys));
  const others = [...(draft.owners.get(nameKey(owner))?.rrsets ?? [])].filter(({ type }) => type !== TYPE.CNAME);
  if (nameKey(owner) === nameKey(draft.apex) || others.length > 0) {
    throw new LuaError('its branches choose in different ways, which needs a CNAME for each, and none is allowed here');
  }
  if (branches.has(TYPE.CNAME)) throw new LuaError('its branches choose names in different ways');
  const usable = new Map(
    [...branches].filter(([type, list]) => {
      if (keysOf(list) === keysOf(first)) return true;
      note(
        draft,
        'dropped',
        owner,
        `the LUA record of ${typeText(type)}: its conditions differ from those of the other one`,
      );
      return false;
    }),
  );
  const geo: Record<string, DraftValue> = {};
  const vips: VipDraft[] = [];
  first.forEach(({ keys }, at) => {
    const [key = ''] = keys;
    const pools = [...usable].flatMap(([type, list]): [number, LuaChoice][] => {
      const pool = list[at]?.pool;
      return pool ? [[type, pool]] : [];
    });
    const name = nameIn(labelOf(key), owner);
    if (pools.length === 0) for (const each of keys) geo[each] = 'none';
    if (pools.length === 0 || !name || key === '') return;
    addLuaService(draft, name, ttlSeconds, new Map(pools));
    const region = targetName(key.toLowerCase());
    if (!draft.regions.has(region)) draft.regions.set(region, {});
    vips.push({ name: region, region, CNAME: `${formatName(name)}.` });
    for (const each of keys) geo[each] = region;
  });
  note(draft, 'changed', owner, 'its branches choose in different ways: each is a separate service, with a CNAME here');
  addService(draft, { owner, ttl: ttlSeconds, vips, steer: [{ geo, fence: true }] });
}
