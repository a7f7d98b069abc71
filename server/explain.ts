/**
 * Explain (SPEC 4): the question put to the code that answers packets, with somebody listening to the
 * decision, and the reasons told.
 */
import type { Location } from '../geo/location.ts';
import { weightUnit } from '../health/ramp.ts';
import { createHealthTable, FORCED, FULL, NEVER_SECONDS, packState, PROBED, viewHealthTable } from '../health/table.ts';
import { regionShare } from '../steering/candidates.ts';
import { DEGREE, type Steerer } from '../steering/decision.ts';
import { isPlaceStep } from '../steering/place.ts';
import { HAS, VIP } from '../steering/plan.ts';
import { bearing, shedNetwork } from '../steering/shed.ts';
import type { Explained, ExplainRequest, Trace, TraceCandidate, TraceClient, TraceStep } from '../steering/trace.ts';
import { formatAddress } from '../wire/address.ts';
import { TCP_OCTETS } from '../wire/limits.ts';
import { decodeResponse, encodeQuery } from '../wire/message.ts';
import { canonical, formatName, type Name } from '../wire/name.ts';
import { RCODE, typeText } from '../wire/types.ts';
import type { ServiceInfo, VipInfo } from '../zones/catalog.ts';
import { createSearch, search } from '../zones/lookup.ts';
import { NODE, ZONE } from '../zones/image.ts';
import { answer } from './answer.ts';
import { createAnswererState, type Answerer } from './answerer.ts';
import { TRANSPORT } from './exchange.ts';
import { locationOf, localRegions, placeStepsFor, planAt, type ExplainedGeneration } from './explain-place.ts';
import { steeredBits } from './steered.ts';
import { readRequest, type Asked } from './explain-request.ts';
import {
  describeCandidate,
  SUPPOSED,
  whyAllDown,
  whyScope,
  whyShed,
  whyStandby,
  whyStep,
  whyTtl,
  type Shares,
} from './explain-words.ts';

/** The health table in force and what the probes last said. Without it, the state of every VIP is unknown. */
export type LiveHealth = {
  readonly memory: SharedArrayBuffer;
  /** In words: `status 503, wanted 200-399`. */
  readonly reasonOf: (vip: VipInfo) => string | undefined;
};

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
      nsid: new Uint8Array(0),
      version: new Uint8Array(0),
    },
    0,
    crypto.getRandomValues(new Int32Array(1))[0] ?? 0,
  );
  const plan = asked.place ? planAt(generation, plain.image.plan, asked.place) : plain.image.plan;
  const answerer: Answerer = { ...plain, image: { ...plain.image, plan }, steerer: { ...plain.steerer, plan } };
  return ask(generation, asked, answerer, live);
}

/** A table of its own: what is asked about must not touch what is served. `down` are slots taken for down. */
export function healthFor(
  { catalog }: Pick<ExplainedGeneration, 'catalog'>,
  down: ReadonlySet<number>,
  live: LiveHealth | undefined,
): SharedArrayBuffer {
  const slots = catalog.vips.length;
  const memory = createHealthTable(slots);
  const table = viewHealthTable(memory, slots);
  for (const vip of catalog.vips) {
    table.states[vip.slot] = packState(PROBED.UNKNOWN, FORCED.NONE, NEVER_SECONDS);
    table.weights[vip.slot] = vip.weight * weightUnit(catalog.services[vip.service]?.rampMs ?? 0);
  }
  if (live) {
    const current = viewHealthTable(live.memory, slots);
    table.states.set(current.states);
    table.weights.set(current.weights);
    table.withheld.set(current.withheld);
    table.pressures.set(current.pressures);
  }
  for (const slot of down) table.states[slot] = packState(PROBED.DOWN, FORCED.NONE, 0);
  return memory;
}

/** What was heard of the last decision: a CNAME may lead through several services. */
type Heard = {
  service: number;
  has: number;
  candidates: TraceCandidate[];
  steps: TraceStep[];
  allDown: string | undefined;
  vips: string[];
  ttl: Trace['ttl'] | undefined;
  scope: Trace['scope'] | undefined;
};

function ask(
  generation: ExplainedGeneration,
  asked: Asked,
  answerer: Answerer,
  live: LiveHealth | undefined,
): Explained {
  const peer = asked.resolver ?? asked.client ?? new Uint8Array(4);
  const subnet = asked.client && { bytes: asked.client, bits: asked.client.length * 8 };
  const heard: Heard = {
    service: -1,
    has: 0,
    candidates: [],
    steps: [],
    allDown: undefined,
    vips: [],
    ttl: undefined,
    scope: undefined,
  };
  const source = (): TraceClient['source'] => (asked.place ? 'place' : answerer.clientIsSubnet ? 'subnet' : 'resolver');
  const client = (): Uint8Array => answerer.client.slice(0, answerer.clientBits / 8);
  listen(generation, asked, answerer, heard, client, source, live);

  const query = encodeQuery(asked.name, asked.type, subnet);
  const tx = new Uint8Array(TCP_OCTETS);
  const octets = peer.length === 4 ? 4 : 16;
  const length = answer(answerer, query, 0, query.length, peer, 0, octets, TRANSPORT.TCP, tx, 0);
  const response = decodeResponse(tx.subarray(0, length));
  const owner = ownerOf(generation, answerer, asked.name);
  if (owner === undefined) {
    const message = `no zone of this configuration has ${formatName(asked.name)}`;
    return { ok: false, parameter: 'name', message };
  }
  // Also where steering had no part: a type that none of its VIPs has.
  const service = generation.catalog.services[heard.service < 0 ? owner.service : heard.service];
  const located = asked.place
    ? { location: asked.place, how: 'as asked' }
    : locationOf(generation, answerer.image.plan, client());
  const first = response.answer[0];
  const trace: Trace = {
    name: formatName(asked.name),
    type: typeText(asked.type),
    zone: owner.zone,
    service: service?.name,
    client: describeClient(asked, client(), source(), located),
    candidates: heard.candidates,
    steps: heard.steps,
    allDown: heard.allDown,
    answer: {
      rcode: Object.entries(RCODE).find(([, code]) => code === response.rcode)?.[0] ?? String(response.rcode),
      records: response.answer,
      vips: heard.vips,
    },
    ttl: heard.ttl ?? { seconds: first?.ttl ?? response.authority[0]?.ttl ?? 0, why: 'as the records have it' },
    scope: heard.scope ?? { bits: 0, why: 'the answer does not depend on the client' },
  };
  return { ok: true, trace };
}

/** The zone that holds a name, and the service that it is, if it is one; undefined where no zone has it. */
function ownerOf(
  { catalog }: ExplainedGeneration,
  { image }: Answerer,
  asked: Name,
): { readonly zone: string; readonly service: number } | undefined {
  const target = createSearch(canonical(asked));
  search(image, target);
  if (target.node < 0) return undefined;
  const row = target.node * NODE.WORDS;
  const apex = image.zones[(image.nodes[row + NODE.ZONE] ?? 0) * ZONE.WORDS + ZONE.APEX_NODE] ?? 0;
  const name = formatName(image.bytes, image.nodes[apex * NODE.WORDS + NODE.NAME_AT]);
  const zone = catalog.zones.find((known) => known.name === name)?.name;
  return zone === undefined
    ? undefined
    : { zone, service: target.suffixAt === 0 ? (image.nodes[row + NODE.SERVICE] ?? -1) : -1 };
}

function describeClient(
  asked: Asked,
  client: Uint8Array,
  source: TraceClient['source'],
  { location, how }: { readonly location: Location; readonly how: string },
): TraceClient {
  const hasPoint = !Number.isNaN(location.latitude);
  return {
    address: asked.client || asked.resolver ? formatAddress(client) : undefined,
    source,
    country: location.country,
    subdivision: location.subdivision,
    continent: location.continent,
    latitude: hasPoint ? location.latitude : undefined,
    longitude: hasPoint ? location.longitude : undefined,
    asn: location.asn,
    how,
  };
}

/** Has the answerer's decisions told to `heard`. */
function listen(
  generation: ExplainedGeneration,
  asked: Asked,
  answerer: Answerer,
  heard: Heard,
  client: () => Uint8Array,
  source: () => TraceClient['source'],
  live: LiveHealth | undefined,
): void {
  const { catalog } = generation;
  const { steerer } = answerer;
  const { plan } = steerer;
  let placed: ReturnType<typeof placeStepsFor> | undefined;
  steerer.observer = (service, step, decision) => {
    const info = catalog.services[service];
    if (!info) return;
    const vipsOf = (): VipInfo[] =>
      [...decision.candidates.subarray(0, decision.count)].flatMap((vip) => catalog.vips[info.firstSlot + vip] ?? []);
    if (step === -1) {
      const location = asked.place ?? locationOf(generation, plan, client()).location;
      placed = placeStepsFor(generation, info, location, asked.place ? undefined : client());
      heard.steps = [];
      // A weaker degree of availability starts again; the states are those of the first.
      if (decision.degree !== DEGREE.AVAILABLE) return;
      heard.service = service;
      heard.has = steeredBits(answerer, service);
      heard.candidates = candidatesOf(generation, steerer, service, heard.has, client(), (vip) =>
        asked.down.has(vip.slot) ? SUPPOSED : live?.reasonOf(vip),
      );
      return;
    }
    const kept = vipsOf();
    const spec = info.steps[step];
    if (step >= 0 && spec && placed) {
      const why = whyStep(
        spec,
        kept,
        catalog.regions,
        localRegions(generation, info),
        placed.steps.get(step)?.(placed.location),
        (vip) => sharesOf(steerer, info, vip, client()).now,
        client(),
      );
      const measured = placed.measured.get(step);
      const whole = measured === undefined ? why : `${why}; ${measured}`;
      heard.steps.push({ step: spec.kind, kept: kept.map((vip) => vip.name), why: whole });
      return;
    }
    heard.allDown = whyAllDown(decision);
    heard.vips = kept.slice(0, heard.has === HAS.CNAME ? 1 : kept.length).map((vip) => vip.name);
    heard.ttl = { seconds: decision.ttlSeconds, why: whyTtl(info, steerer, service, heard.has) };
    const usesPlace = info.steps.some((known) => isPlaceStep(known) || known.kind === 'sticky');
    const depends = usesPlace || decision.shedLimit >= 0;
    heard.scope = { bits: decision.scopeBits, why: whyScope(decision.scopeBits, depends, source()) };
  };
}

/** The weight of a VIP and how much of it counts; whom it sheds. */
function sharesOf({ plan, health }: Steerer, info: ServiceInfo, { slot }: VipInfo, client: Uint8Array): Shares {
  const unit = weightUnit(info.rampMs);
  const now = (health.weights[slot] ?? 0) / unit;
  const weight = now + (health.withheld[slot] ?? 0) / unit;
  const pressure = health.pressures[slot] ?? 0;
  return {
    weight,
    now,
    ramp: weight === 0 ? 1 : now / weight,
    shed: Math.min(1, pressure / FULL),
    refuses: pressure > bearing(plan, slot, shedNetwork(client, client.length * 8)),
  };
}

function candidatesOf(
  { catalog }: ExplainedGeneration,
  steerer: Steerer,
  service: number,
  has: number,
  client: Uint8Array,
  reasonOf: LiveHealth['reasonOf'],
): TraceCandidate[] {
  const info = catalog.services[service];
  if (!info) return [];
  const { plan, health, decision } = steerer;
  return catalog.vips.slice(info.firstSlot, info.firstSlot + info.vipCount).flatMap((vip) => {
    const row = vip.slot * VIP.WORDS;
    if (((plan.vips[row + VIP.HAS] ?? 0) & has) === 0) return [];
    const word = health.states[vip.slot] ?? 0;
    const shares = sharesOf(steerer, info, vip, client);
    const share = regionShare(decision, plan.vips[row + VIP.REGION] ?? 0);
    const told = describeCandidate(vip, catalog.regions[vip.region], has, word, shares, share, reasonOf(vip));
    if (!told.available) return told;
    const { candidates, count, shedLimit } = decision;
    const joins = candidates.subarray(0, count).includes(vip.slot - info.firstSlot);
    const load = whyShed(shares, shedLimit, joins);
    if (load !== '') return { ...told, why: `${told.why}; ${load}` };
    if (shares.weight > 0) return told;
    return { ...told, why: `${told.why}; ${whyStandby(joins)}` };
  });
}
