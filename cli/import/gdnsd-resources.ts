/**
 * gdnsd's resources, which DYNA and DYNC records refer to, as VIPs and steps.
 */
import { parseAddress } from '../../wire/address.ts';
import type { Name } from '../../wire/name.ts';
import { note, type DraftValue, type VipDraft, type ZoneDraft } from './draft.ts';
import { fitWeights } from './geo-keys.ts';
import { targetName } from './values.ts';
import { arrayOf, hashOf, stringOf, stringsOf, type Vscf, type VscfHash } from './vscf.ts';

export type Resolving = { readonly draft: ZoneDraft; readonly owner: Name; readonly config: VscfHash };

/** Addresses or names without locations: the result of simplefo, multifo, weighted and static. */
export type Group = {
  readonly vips: readonly VipDraft[];
  readonly step: 'failover' | 'all' | 'weighted' | 'none';
  /** Several VIPs per answer. */
  readonly multi: boolean;
  readonly serviceTypes: readonly string[];
  /** Addresses that are down are answered too. */
  readonly ignoresHealth?: boolean;
  /** It is another resource, which answers with names. */
  readonly answersNames?: boolean;
  /** The share of the weight that must be up for the group to count as up. */
  readonly threshold: number | undefined;
};

/** gdnsd-plugin-multifo(8), gdnsd-plugin-weighted(8): up_thresh. */
const DEFAULT_THRESHOLD = 0.5;
const PLUGINS: ReadonlySet<string> = new Set(['simplefo', 'multifo', 'weighted', 'static']);
/** Keys of a resource that are parameters, not addresses. */
const PARAMETERS: ReadonlySet<string> = new Set([
  ...['service_types', 'up_thresh', 'multi', 'ignore_health', 'plugin'],
  ...['addrs_v4', 'addrs_v6', 'skip_first'],
]);

/** Reads `plugin!resource` of a plugin for addresses. Returns undefined and adds a note if it is not defined. */
export function groupOf(plugin: string, resource: string, context: Resolving): Group | undefined {
  const { draft, owner, config } = context;
  if (!PLUGINS.has(plugin)) {
    note(draft, 'dropped', owner, `${plugin}!${resource}: Pharos has no equivalent of the plugin ${plugin}`);
    return undefined;
  }
  const stanza = hashOf(hashOf(config.get('plugins')).get(plugin));
  const value = stanza.get(resource);
  if (value === undefined) {
    note(draft, 'dropped', owner, `${plugin}!${resource} is not defined`);
    return undefined;
  }
  const inherited = new Map([...stanza].filter(([key]) => PARAMETERS.has(key)));
  return groupFrom(plugin, value, inherited, context);
}

/** Reads a resource's value; `inherited` are the parameters of the levels above. */
export function groupFrom(plugin: string, value: Vscf, inherited: VscfHash, context: Resolving): Group | undefined {
  const { draft, owner } = context;
  const hash = typeof value === 'string' || Array.isArray(value) ? directHash(value as Vscf) : hashOf(value);
  const parameters = new Map([...inherited, ...hash]);
  const serviceTypes = stringsOf(parameters.get('service_types'));
  const multi = stringOf(parameters.get('multi'))?.toLowerCase() === 'true';
  const threshold = Number(stringOf(parameters.get('up_thresh')) ?? DEFAULT_THRESHOLD);
  const vips = hash.has('addrs_v4') || hash.has('addrs_v6') ? bothFamilies(hash, context) : entriesOf(hash, context);
  if (vips.length === 0) {
    note(draft, 'dropped', owner, `a resource of ${plugin} without addresses`);
    return undefined;
  }
  const base = { vips, serviceTypes, multi: false, threshold: undefined };
  switch (plugin) {
    case 'simplefo':
      return { ...base, step: 'failover' };
    case 'multifo':
      return {
        ...base,
        step: 'all',
        threshold,
        ignoresHealth: stringOf(parameters.get('ignore_health'))?.toLowerCase() === 'true',
      };
    case 'weighted':
      if (multi) note(draft, 'changed', owner, 'multi: answers have all addresses, in a random order by weight');
      return { ...base, step: 'weighted', multi, threshold };
    case 'static':
      return { ...base, step: 'none' };
    default:
      note(draft, 'dropped', owner, `Pharos has no equivalent of the plugin ${plugin}`);
      return undefined;
  }
}

/** Names the addresses of a list 1, 2, ..., as gdnsd does. */
function directHash(value: Vscf): VscfHash {
  return new Map(arrayOf(value).map((each, index) => [String(index + 1), each]));
}

/** A label that is in both families becomes one VIP. */
function bothFamilies(hash: VscfHash, context: Resolving): VipDraft[] {
  const families = (['addrs_v4', 'addrs_v6'] as const).map((key) => {
    const value = hash.get(key);
    return value === undefined ? [] : entriesOf(value instanceof Map ? hashOf(value) : directHash(value), context);
  });
  const vips = new Map<string, VipDraft>();
  for (const vip of families.flat()) {
    const known = vips.get(vip.name);
    if (known && known.weight !== vip.weight) {
      note(context.draft, 'changed', context.owner, `${vip.name} has two weights: it gets that of its IPv4 address`);
    }
    vips.set(vip.name, { ...vip, ...known });
  }
  return [...vips.values()];
}

function entriesOf(hash: VscfHash, context: Resolving): VipDraft[] {
  const entries = [...hash].filter(([key]) => !PARAMETERS.has(key));
  const vips = entries.flatMap(([label, value]): VipDraft[] => {
    if (value instanceof Map) {
      note(context.draft, 'changed', context.owner, 'groups of weighted addresses become single VIPs');
      return entriesOf(hashOf(value), context).map((vip) => ({ ...vip, name: `${targetName(label)}-${vip.name}` }));
    }
    const [target, weight] = arrayOf(value).map((each) => stringOf(each) ?? '');
    const published = target === undefined ? undefined : publish(target);
    if (!published) return [];
    return [{ name: targetName(label), ...published, ...(weight === undefined ? {} : { weight: Number(weight) }) }];
  });
  if (vips.every(({ weight }) => weight === undefined)) return vips;
  const weights = fitWeights(vips.map(({ weight = 1 }) => weight));
  return vips.map((vip, index) => ({ ...vip, weight: weights[index] ?? 1 }));
}

/** An address, or a name. */
export function publish(text: string): Pick<VipDraft, 'A' | 'AAAA' | 'CNAME'> | undefined {
  const address = parseAddress(text);
  if (address) return address.length === 4 ? { A: text } : { AAAA: text };
  return /^[\w.*-]+\.$/.test(text) ? { CNAME: text } : undefined;
}

/** Returns the step that chooses among a group's VIPs. */
export function stepOf(group: Pick<Group, 'step' | 'vips'>): readonly DraftValue[] {
  if (group.vips.length < 2 || group.step === 'none') return [];
  return group.step === 'failover' ? [{ failover: group.vips.map(({ name }) => name) }] : [group.step];
}
