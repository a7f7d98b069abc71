/**
 * Explain (docs/commands.md#pharos-explain-name-type): runs the query through the code that answers packets, observes
 * the decisions and returns them with reasons.
 */
import type { CheckSpec } from '../../config/check-kinds.ts';
import type { Location } from '../../geo/location.ts';
import { saysWhere } from '../../geo/private.ts';
import {
  createHealthTable,
  FORCED,
  forcedOf,
  holdSecondsOf,
  isForcedOut,
  NEVER_SECONDS,
  packState,
  PROBED,
  probedOf,
  viewHealthTable,
  type Probed,
  stateAt,
  weightAt,
  withheldAt,
} from '../../health/health-table.ts';
import { holdSeconds, holdSpecOf } from '../../health/hysteresis.ts';
import { weightUnit } from '../../health/ramp.ts';
import type { Explained, ExplainRequest, Trace, TraceClient } from '../../steering/trace.ts';
import { formatAddress } from '../../wire/address.ts';
import { TCP_OCTETS } from '../../wire/limits.ts';
import { decodeResponse, encodeQuery, type MessageText } from '../../wire/message.ts';
import { canonical, formatName, type Name } from '../../wire/name.ts';
import { RCODE, typeText } from '../../wire/types.ts';
import type { ZoneInfo } from '../../zones/catalog.ts';
import { createSearch, search, serviceOf, type Search } from '../../zones/image/find-node.ts';
import { apexOf, nameAtOf, NODE, nodeWord } from '../../zones/image/image.ts';
import type { Answerer } from '../answer/answer-state.ts';
import { answer } from '../answer/answer.ts';
import { createAnswererState } from '../answer/answerer.ts';
import { packetOf, TRANSPORT } from '../contract.ts';
import { recordDecisions, type Heard, type VipNews } from './explain-decision.ts';
import { locationOf, planAt, type ExplainedGeneration } from './explain-place.ts';
import { readRequest, type Asked } from './explain-request.ts';
import { describeSigning } from './explain-signing.ts';

/** The health table in force, and facts about VIPs from outside the table. Without it, every VIP is unknown. */
export type LiveHealth = VipNews & { readonly memory: SharedArrayBuffer };

/** The trace for one client, or what is wrong with the request. */
export function explainFrom(generation: ExplainedGeneration, request: ExplainRequest, live?: LiveHealth): Explained {
  const asked = readRequest(generation, request);
  if ('message' in asked) return { ok: false, ...asked };
  const health = healthFor(generation, asked.down, live);
  const plain = createAnswererState(
    {
      image: generation.image,
      atlas: generation.atlas,
      health,
      served: [],
      online: generation.online,
      nsid: new Uint8Array(0),
      version: new Uint8Array(0),
    },
    0,
    crypto.getRandomValues(new Int32Array(1))[0] ?? 0,
  );
  const { place } = asked;
  const { ownNetworks } = plain.image;
  const address = addressOf(asked, ownNetworks);
  // With both a place and an address, the address still decides the AS.
  const location =
    place && address ? { ...place, asn: locationOf(generation, plain.image.plan, address).location.asn } : place;
  const plan = location ? planAt(generation, plain.image.plan, location, address) : plain.image.plan;
  const answerer: Answerer = { ...plain, image: { ...plain.image, plan }, steerer: { ...plain.steerer, plan } };
  return ask(generation, { ...asked, place: location }, answerer, live);
}

/**
 * The client address (docs/steering.md#whose-place-counts), as the packet path finds it; undefined if only a place is
 * given.
 */
function addressOf({ client, resolver }: Asked, ownNetworks: Int32Array): Uint8Array | undefined {
  if (client === undefined) return resolver;
  const { bytes, bits } = client;
  return saysWhere(ownNetworks, bytes, bytes.length, bits) ? bytes : (resolver ?? bytes);
}

/** A private health table, so that explain does not change the table in force. `down` are slots assumed down. */
export function healthFor(
  { catalog }: Pick<ExplainedGeneration, 'catalog'>,
  down: ReadonlySet<number>,
  live: LiveHealth | undefined,
): SharedArrayBuffer {
  const slots = catalog.vips.length;
  const memory = createHealthTable(slots);
  const table = viewHealthTable(memory, slots);
  if (live) {
    const current = viewHealthTable(live.memory, slots);
    table.states.set(current.states);
    table.weights.set(current.weights);
    table.withheld.set(current.withheld);
    table.pressures.set(current.pressures);
  } else {
    for (const vip of catalog.vips) {
      table.states[vip.slot] = packState(PROBED.UNKNOWN, FORCED.NONE, settledSeconds(vip.check, PROBED.UP));
      table.weights[vip.slot] = vip.weight * weightUnit(catalog.services[vip.service]?.rampMs ?? 0);
    }
  }
  for (const slot of down) {
    const word = stateAt(table, slot);
    const seconds = settledSeconds(catalog.vips[slot]?.check, PROBED.DOWN);
    // A VIP that is drained or forced down keeps this override when it fails, so `serve_all` does not serve it.
    table.states[slot] = isForcedOut(word)
      ? packState(PROBED.DOWN, forcedOf(word), holdSecondsOf(word))
      : packState(PROBED.DOWN, FORCED.NONE, seconds);
  }
  return memory;
}

/**
 * The same after an order for these slots: what the control thread writes for it (health/table-writer.ts), once a ramp
 * is over.
 */
export function healthAfterOrder(
  generation: Pick<ExplainedGeneration, 'catalog'>,
  order: { readonly state: keyof typeof ORDERED } | { readonly weight: number | null },
  slots: ReadonlySet<number>,
  live: LiveHealth | undefined,
): SharedArrayBuffer {
  const { vips, services } = generation.catalog;
  const memory = healthFor(generation, new Set(), live);
  const table = viewHealthTable(memory, vips.length);
  for (const slot of slots) {
    const vip = vips[slot];
    if (vip === undefined) continue;
    if ('weight' in order) {
      table.weights[slot] = (order.weight ?? vip.weight) * weightUnit(services[vip.service]?.rampMs ?? 0);
      table.withheld[slot] = 0;
      continue;
    }
    const probed = probedOf(stateAt(table, slot));
    const forced = ORDERED[order.state];
    const seconds = forced === FORCED.NONE ? settledSeconds(vip.check, probed) : NEVER_SECONDS;
    table.states[slot] = packState(probed, forced, seconds);
    // A VIP that is out, or forced up, does not ramp.
    if (forced === FORCED.NONE) continue;
    table.weights[slot] = weightAt(table, slot) + withheldAt(table, slot);
    table.withheld[slot] = 0;
  }
  return memory;
}

const ORDERED = { drain: FORCED.DRAIN, down: FORCED.DOWN, up: FORCED.UP, auto: FORCED.NONE } as const;

/** The hold of a state without a known history: the same as after the check has settled on the state. */
function settledSeconds(check: CheckSpec | undefined, probed: Probed): number {
  if (check === undefined) return NEVER_SECONDS;
  return holdSeconds({ probed, decided: true, passed: probed === PROBED.UP, run: 0 }, holdSpecOf(check));
}

function ask(
  generation: ExplainedGeneration,
  asked: Asked,
  answerer: Answerer,
  live: LiveHealth | undefined,
): Explained {
  const peer = asked.resolver ?? asked.client?.bytes ?? new Uint8Array(4);
  const subnet = asked.client;
  const source = (): TraceClient['source'] => (asked.place ? 'place' : answerer.clientIsSubnet ? 'subnet' : 'resolver');
  const client = (): Uint8Array => answerer.client.slice(0, answerer.clientBits / 8);
  const decisions = recordDecisions(
    generation,
    answerer,
    {
      source,
      address: client,
      place: () =>
        asked.place
          ? { location: asked.place, address: addressOf(asked, answerer.image.ownNetworks) }
          : { location: locationOf(generation, answerer.image.plan, client()).location, address: client() },
      down: asked.down,
    },
    live,
  );

  const query = encodeQuery(asked.name, asked.type, subnet);
  const tx = new Uint8Array(TCP_OCTETS);
  const length = answer(answerer, packetOf(query, peer, TRANSPORT.TCP, tx));
  const response = decodeResponse(tx.subarray(0, length));
  const owner = ownerOf(generation, answerer, asked.name);
  const unobserved = { ...answerer, steerer: { ...answerer.steerer, observer: undefined } };
  const signedLength = answer(unobserved, packetOf(encodeQuery(asked.name, asked.type, subnet, true), peer, TRANSPORT.TCP, tx)); // prettier-ignore
  const signed = decodeResponse(tx.subarray(0, signedLength));
  if (owner === undefined) {
    const message = `no zone of this configuration contains ${formatName(asked.name)}`;
    return { ok: false, parameter: 'name', message };
  }
  const heard = decisions.at(-1);
  const via = decisions.slice(0, -1);
  const located = asked.place
    ? { location: asked.place, how: 'from the request' }
    : locationOf(generation, answerer.image.plan, client());
  const trace: Trace = {
    name: formatName(asked.name),
    type: typeText(asked.type),
    zone: owner.zone,
    alias: owner.alias,
    // The service is known even if steering did not run because no VIP has the type.
    service: heard?.service ?? generation.catalog.services[owner.service]?.name,
    client: describeClient(asked, client(), source(), located),
    via: via.map((decision) => ({ ...decision, ttl: decision.ttl ?? ttlOf(response) })),
    candidates: heard?.candidates ?? [],
    steps: heard?.steps ?? [],
    allDown: heard?.allDown,
    answer: {
      rcode: Object.entries(RCODE).find(([, code]) => code === response.rcode)?.[0] ?? String(response.rcode),
      records: response.answer,
      vips: heard?.vips ?? [],
    },
    ttl: heard?.ttl ?? ttlOf(response),
    scope: widest(decisions),
    signing: describeSigning(answerer.image, owner.row, response, signed),
  };
  return { ok: true, trace };
}

/** The TTL of an answer without records from steering. */
function ttlOf({ answer: records, authority }: MessageText): Trace['ttl'] {
  const [negative] = authority;
  if (negative?.type === 'SOA')
    return { seconds: negative.ttl, why: 'negative TTL of the SOA: how long resolvers cache that there is no data' };
  return { seconds: records[0]?.ttl ?? negative?.ttl ?? 0, why: 'the TTL of the records' };
}

/** A response has one scope: the longest of its decisions. */
function widest(decisions: readonly Heard[]): Trace['scope'] {
  const [first, ...others] = decisions;
  if (!first) return { bits: 0, why: 'the answer does not depend on the client' };
  const deepest = others.reduce((one, other) => (other.scope.bits > one.scope.bits ? other : one), first);
  return others.length === 0 ? first.scope : { ...deepest.scope, why: `by ${deepest.service}: ${deepest.scope.why}` };
}

/** The zone that contains a name, and the number of the service at it (-1: none); undefined if no zone contains it. */
function ownerOf(
  { catalog }: ExplainedGeneration,
  { image }: Answerer,
  asked: Name,
):
  | { readonly zone: string; readonly row: number; readonly service: number; readonly alias: Trace['alias'] }
  | undefined {
  const target = createSearch(canonical(asked));
  search(image, target);
  if (target.node < 0) return undefined;
  const name = formatName(image.bytes, nameAtOf(image.words, apexOf(image.words, target.zone)));
  const info = catalog.zones.find((known) => known.name === name);
  return info === undefined
    ? undefined
    : {
        zone: info.name,
        alias: aliasAt(image, target, info),
        row: target.zone,
        service: target.suffixAt === 0 ? serviceOf(image, target, target.node) : -1,
      };
}

/** The names that the alias of a name leads over, also of one that a wildcard answers for. */
function aliasAt(
  { words, bytes }: Answerer['image'],
  { node, suffixAt }: Search,
  { aliases = [] }: ZoneInfo,
): Trace['alias'] {
  // prettier-ignore
  const wildcard = suffixAt === 0 ? 0 : nodeWord(words, node, NODE.WILDCARD);
  if (aliases.length === 0 || (suffixAt !== 0 && wildcard === 0)) return [];
  const owner = formatName(bytes, nameAtOf(words, node + wildcard));
  return aliases.find(({ name }) => name === owner)?.path ?? [];
}

function describeClient(
  asked: Asked,
  client: Uint8Array,
  source: TraceClient['source'],
  { location, how }: { readonly location: Location; readonly how: string },
): TraceClient {
  const hasPoint = !Number.isNaN(location.latitude);
  const passedOver =
    source === 'resolver' && asked.client
      ? `; ${formatAddress(asked.client.bytes)} is private and not in geo.networks, so the client subnet is ignored`
      : '';
  return {
    address: asked.client || asked.resolver ? formatAddress(client) : undefined,
    source,
    country: location.country,
    subdivision: location.subdivision,
    city: location.city,
    continent: location.continent,
    latitude: hasPoint ? location.latitude : undefined,
    longitude: hasPoint ? location.longitude : undefined,
    asn: location.asn,
    how: how + passedOver,
  };
}
