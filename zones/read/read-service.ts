/**
 * One service of a zone file (docs/configuration.md#services): its VIPs, check, steps and TTL.
 */
import type { CheckSpec } from '../../config/check-kinds.ts';
import { createReport, hasErrors, type Place, type Report, type ReportOnce } from '../../config/diagnostics.ts';
import {
  choice,
  dictionary,
  duration,
  fromEnvironment,
  integer,
  list,
  map,
  optional,
  scalar,
  show,
  text,
  withDefault,
  required,
  type Read,
  valueOf,
} from '../../config/fields.ts';
import { MAX_RAMP_MS, MAX_WEIGHT } from '../../config/limits.ts';
import { nearestHint } from '../../config/nearest-word.ts';
import { address, type IsCountry } from '../../config/network-fields.ts';
import { checkOrName, checkOrNone, findAmong, type FindCheck } from '../../config/read-checks.ts';
import { isTargetName, TARGET_NAME } from '../../config/read-regions.ts';
import { anyOf, described, notEmpty, like, openMap, pattern, schemaOf, type JsonSchema } from '../../config/schema.ts';
import type { RegionSpec } from '../../config/settings.ts';
import { nodePlace, refuseReference, type YamlEntry, type YamlNode, type YamlScalar } from '../../config/yaml.ts';
import { DEFAULT_STEPS, traitsOf, type StepSpec } from '../../steering/steps.ts';
import { formatAddress, parseAddress } from '../../wire/address.ts';
import { MAX_ANSWERS, MAX_OTHER_TYPES, MAX_VIPS } from '../../wire/limits.ts';
import { canonical, formatName, nameKey, ROOT, type Name } from '../../wire/name.ts';
import { TYPE, typeText } from '../../wire/types.ts';
import { mistakenForHost } from './host-names.ts';
import { isTooLarge, judgeInner, serviceFinder, warnIdleCheck } from './inner-services.ts';
import { judgeWeights } from './judge-steps.ts';
import { hasData, otherTypes, type ServiceModel, type VipModel, type WhenAllDown } from './model.ts';
import { capacity, checkLoad, shed } from './read-load.ts';
import { readName, ttl } from './read-records.ts';
import { hasRrsets, readRrsets, TYPE_KEYS } from './read-rrsets.ts';
import { steps } from './read-steps.ts';
import { svcb, svcbRdata } from './read-svcb.ts';
import { NO_SHARED, SHARED_NAME, type SharedMaps } from './shared-names.ts';
import type { StepsContext } from './step-options.ts';
import { createTemplateReporter, expandService, type SharedTemplates } from './templates.ts';

/** The names that a service may refer to, and the defaults of its zone. */
export type ServiceContext = {
  readonly apex: Name;
  readonly regions: ReadonlyMap<string, RegionSpec>;
  readonly checks: ReadonlyMap<string, CheckSpec>;
  /** Names of checks with a reported mistake: a reference to one is not reported again. */
  readonly brokenChecks: ReadonlySet<string>;
  readonly brokenRegions: ReadonlySet<string>;
  /** Reports an undefined name once. */
  readonly once: ReportOnce;
  readonly defaultTtlSeconds: number;
  /** Absolute path of the folder that paths of tables are relative to. */
  readonly folder: string;
  /** The folder that tables must be in; undefined: any. */
  readonly below: string | undefined;
  readonly isCountry: IsCountry;
  readonly report: Report;
  readonly addFile: (path: string) => void;
  /** See StepsContext. */
  readonly hasBeacon?: boolean;
  readonly maps?: SharedMaps | undefined;
  readonly templates?: SharedTemplates | undefined;
  /** If pharos.yaml has no `fleet`: the checks for whose fleet keys there was a warning. */
  readonly withoutFleet?: Set<CheckSpec> | undefined;
  /** Reads the service of the zone that a VIP leads to. Undefined if there is none, which has been reported. */
  readonly findService?: ((at: YamlScalar) => ServiceModel | undefined) | undefined;
};

/** `own`: the check of the VIP itself, in place of those of its region and service. */
type Vip = Omit<VipModel, 'check' | 'svcb'> & {
  readonly own: { readonly check: CheckSpec | 'none'; readonly node: YamlNode } | undefined;
};

type CheckedVip = { readonly vip: Vip; readonly check: CheckSpec | undefined };

/** Reads the service at `key`. Undefined if it has no usable VIP. */
export function readService(owner: Name, { key, value }: YamlEntry, context: ServiceContext): ServiceModel | undefined {
  const { regions, report } = context;
  const name = formatName(canonical(owner));
  // Steps refer to regions and VIPs, so VIPs are read first, whatever the order of the keys.
  const vipsNode = valueOf(value, 'vips');
  const before = report.diagnostics.length;
  const vips = (vipsNode && readVips(name, vipsNode, context)) ?? [];
  const isKnown = ({ region }: Vip): boolean => region === undefined || regions.has(region);
  const stepsContext = {
    ...context,
    // A region with an invalid position was reported.
    regions: new Map([...regions].map(([id, { at, isMisplaced }]) => [id, at !== undefined || isMisplaced === true])),
    vips,
    // A mistake in a VIP may be the cause of mistakes in the steps that lead to it.
    isSound:
      vips.every(isKnown) &&
      vips.length === (vipsNode?.kind === 'map' ? vipsNode.entries.length : 0) &&
      !hasErrors(report.diagnostics.slice(before)),
  };
  const read = serviceKeys(name, context, stepsContext, answeredTypes(vips))(value, `service ${key.text}`, report);
  if (!read || !vipsNode) return undefined;
  if (vips.length === 0) return undefined;
  const checked = vips.map((vip) => ({ vip, check: checkOf(vip, read.check, regions) }));
  judgeChecks(value, vipsNode, checked, read.check, context);
  checkTypes(vips, report);
  const ramp = valueOf(value, 'ramp');
  const weighsRegions = vips.some(({ region }) => (regions.get(region ?? '')?.minHealthy ?? 0) > 0);
  if (stepsContext.isSound) judgeWeights(read.steer, vips, weighsRegions, ramp && nodePlace(ramp), report);
  warnCommonAddress(vips, report);
  warnIdleCheck(name, vips, valueOf(value, 'check'), report);
  warnOneCname(vips, read, valueOf(value, 'answers') ?? valueOf(value, 'steer'), report);
  const rule = read.svcb;
  const svcbNode = valueOf(value, 'svcb');
  judgeInner(name, vips, svcbNode && nodePlace(svcbNode), report);
  if (rule && svcbNode && vips.some((vip) => hasData(vip, 'cname'))) {
    const message = `service ${name} has svcb, and its VIPs have a CNAME, which answers queries of every type`;
    report.error('PH239', message, nodePlace(svcbNode), 'give the VIPs addresses, or write the records at the target');
  }
  const bound = vips.find(({ rrsets }) => rrsets?.some(({ type }) => type === TYPE.HTTPS || type === TYPE.SVCB));
  if (rule && svcbNode && bound) {
    const message = `service ${name} has svcb, and its VIP ${bound.name} has HTTPS or SVCB records`;
    report.error('PH239', message, nodePlace(svcbNode), 'keep either svcb or the records of the VIPs');
  }
  const main = vips.some((vip) => hasData(vip, 'a')) ? 'a' : 'aaaa';
  return {
    owner,
    name,
    ttl: read.ttl,
    vips: checked.map(({ vip: { own: _, ...vip }, check }) => ({
      ...vip,
      check,
      svcb: rule && vip[main] && svcbRdata(rule, vip),
    })),
    steps: read.steer,
    // `all` keeps every candidate (docs/steering.md#all), so the answer has all of them by default.
    answers: read.answers ?? (read.steer.some((step) => traitsOf(step).servesAll) ? MAX_VIPS : 1),
    whenAllDown: read.when_all_down,
    ...(read.partial === 'serve_all' ? { partial: read.partial } : {}),
    rampMs: read.ramp,
    shed: read.shed,
    place: nodePlace(key),
  };
}

/** A VIP's check: its own, else that of its region, else that of the service. None if it is a service. */
function checkOf(
  { own, region, inner }: Vip,
  ofService: CheckSpec | undefined,
  regions: ServiceContext['regions'],
): CheckSpec | undefined {
  if (inner) return undefined;
  const check = own?.check ?? regions.get(region ?? '')?.check ?? ofService;
  return check === 'none' ? undefined : check;
}

function judgeChecks(
  service: YamlNode,
  vipsNode: YamlNode,
  vips: readonly CheckedVip[],
  ofService: CheckSpec | undefined,
  context: ServiceContext,
): void {
  const { report } = context;
  const checks = new Set(vips.map(({ check }) => check));
  checkPorts(vips, report);
  checkEndpoints(vips, report);
  checkLoad(service, vipsNode, checks, report);
  for (const check of checks) {
    const vip = vips.find((each) => each.check === check)?.vip;
    const node = vip?.own?.node ?? (check === ofService ? (valueOf(service, 'check') ?? service) : undefined);
    judgeFleetKeys(node || !vip ? nodePlace(node ?? service, 0, 1) : vip.place, check, context);
  }
}

/**
 * The types for which a static answer may be served: a VIP with an address, or a name, makes both families possible.
 */
function answeredTypes(vips: readonly Vip[]): readonly number[] {
  const isBare = vips.every((vip) => !hasData(vip, 'a') && !hasData(vip, 'aaaa') && !hasData(vip, 'cname'));
  return [...(isBare ? [] : [TYPE.A, TYPE.AAAA]), ...otherTypes({ vips })];
}

/** The reader of a service's keys. `types`: see `answeredTypes`. */
function serviceKeys(name: string, context: ServiceContext, stepsContext: StepsContext, types: readonly number[]) {
  const { apex } = context;
  return map('service', {
    ttl: withDefault(serviceTtl, { minSeconds: context.defaultTtlSeconds, maxSeconds: context.defaultTtlSeconds }),
    check: optional(checkOrName(name, findAmong(context.checks, context.brokenChecks, context.once))),
    vips: required(alreadyRead, 'such as vips: { seoul-a: { region: seoul, A: 203.0.113.10 } }'),
    steer: withDefault(steps(stepsContext), [...DEFAULT_STEPS]),
    answers: optional(answers),
    when_all_down: withDefault(whenAllDown(apex, types), { kind: 'serve_all' }),
    partial: withDefault(choice(['serve_up', 'serve_all']), 'serve_up'),
    ramp: withDefault(duration({ maxMs: MAX_RAMP_MS }), 0),
    shed: optional(shed),
    svcb: optional(svcb),
  });
}

/** The schema of `services`. */
export function servicesSchema(): JsonSchema {
  const whole = serviceSchema() as { readonly properties: { readonly vips: JsonSchema } };
  const vips = anyOf(whole.properties.vips, SHARED_NAME);
  const properties = { ...whole.properties, vips };
  const used = {
    ...whole,
    properties: { use: SHARED_NAME, ...properties, vips: whole.properties.vips },
    required: ['use'],
  };
  return openMap(anyOf({ ...whole, properties }, used, SHARED_NAME));
}

/**
 * The schema of a service that uses no template. Whether names of regions, checks and VIPs exist, only the reader
 * knows.
 */
export function serviceSchema(): JsonSchema {
  const empty: ServiceContext & StepsContext = {
    apex: ROOT,
    regions: new Map<string, never>(),
    checks: new Map(),
    brokenChecks: new Set(),
    brokenRegions: new Set(),
    once: () => undefined,
    defaultTtlSeconds: 0,
    folder: '',
    below: undefined,
    isCountry: undefined,
    report: createReport(),
    addFile: () => undefined,
    vips: [],
  };
  return schemaOf(serviceKeys('', empty, empty, []), 'services');
}

/** The keys of a check that only a fleet uses. */
function judgeFleetKeys(place: Place, check: CheckSpec | undefined, context: ServiceContext): void {
  const { regions, brokenRegions, once, withoutFleet, report } = context;
  if (check?.fleet === undefined) return;
  // A check that only nodes of an unknown region probe would never be probed.
  const unknown = (check.fleet.from ?? []).filter((named) => !regions.has(named) && !brokenRegions.has(named));
  for (const named of unknown) {
    const message = `the check has "from: ${named}", which is an unknown region`;
    once(`from ${named}`, 'PH236', message, place, nearestHint(named, regions.keys()));
  }
  if (unknown.length > 0 || withoutFleet === undefined || withoutFleet.has(check)) return;
  withoutFleet.add(check);
  const message = 'quorum, probers, from and view of the check have no effect: pharos.yaml has no fleet';
  report.warning('PH237', message, place, 'add fleet to pharos.yaml, or remove these keys');
}

/** VIPs are read before the other keys. */
const alreadyRead: Read<true> = described(
  () =>
    notEmpty(
      openMap(
        schemaOf(vipKeys({ target: '', region: anyRegion, apex: ROOT, find: () => undefined }), 'vips'),
        TARGET_NAME,
      ),
    ),
  (node: YamlNode) => (node.kind === 'broken' ? undefined : true),
);
const anyRegion = text();

/** Seconds, or `{min, max}`. */
const TTL_HINT = 'write ttl: 20, or ttl: { min: 5, max: 60 }';
const ttlRange = map('ttl', { min: required(ttl, TTL_HINT), max: required(ttl, TTL_HINT) });

const serviceTtl: Read<ServiceModel['ttl']> = described(
  () => anyOf(schemaOf(ttl, 'ttl'), schemaOf(ttlRange, 'ttl')),
  (node: YamlNode, name: string, report: Report) => {
    if (node.kind !== 'map') {
      const fixed = ttl(node, name, report);
      return fixed === undefined ? undefined : { minSeconds: fixed, maxSeconds: fixed };
    }
    const read = ttlRange(node, name, report);
    if (!read) return undefined;
    if (read.min <= read.max) return { minSeconds: read.min, maxSeconds: read.max };
    report.error('PH220', `min (${read.min}) is above max (${read.max})`, nodePlace(node), 'swap the two');
    return undefined;
  },
);

const answers = scalar(
  `1 to ${MAX_ANSWERS}, or all`,
  (value) => {
    if (value === 'all') return MAX_VIPS;
    const number = /^\d+$/.test(value) ? Number(value) : 0;
    return number >= 1 && number <= MAX_ANSWERS ? number : undefined;
  },
  { code: 'PH222', schema: anyOf({ const: 'all' }, { type: 'integer', minimum: 1, maximum: MAX_ANSWERS }) },
);

function readVips(service: string, node: YamlNode, context: ServiceContext): Vip[] | undefined {
  const { report } = context;
  const mistakes = report.diagnostics.length;
  if (node.kind === 'list') {
    const hint = 'give each a name and no "- ": seoul-a: { region: seoul, A: 203.0.113.10 }';
    report.error('PH126', 'vips must be a map of names to VIPs, got a list', nodePlace(node, 0, 1), hint);
    return undefined;
  }
  const vips = dictionary(({ key, value }) => readVip(service, key, value, context))(node, 'vips', report);
  if (!vips) return undefined;
  if (vips.length === 0 && report.diagnostics.length === mistakes) {
    report.error(
      'PH204',
      'a service needs a VIP',
      nodePlace(node),
      'such as seoul-a: { region: seoul, A: 203.0.113.10 }',
    );
  }
  if (vips.length > MAX_VIPS) {
    report.error(
      'PH205',
      `${vips.length} VIPs; a service can have at most ${MAX_VIPS}`,
      nodePlace(node, 0, 1),
      'split it',
    );
  }
  const [first] = vips;
  const isCname = (vip: Vip): boolean => hasData(vip, 'cname');
  const stranger = first && vips.find((vip) => isCname(vip) !== isCname(first));
  if (first && stranger) {
    const [has, hasNot] = isCname(stranger) ? [stranger, first] : [first, stranger];
    const message = `${has.name} is a CNAME and ${hasNot.name} is ${hasNot.a || hasNot.aaaa ? 'an address' : 'not'}`;
    report.error('PH203', message, stranger.place, 'either every VIP of a service has a CNAME, or none');
  }
  return vips;
}

/** A VIP has at most one address per family, because each VIP has one state (docs/configuration.md#services). */
function oneAddress(family: 'IPv4' | 'IPv6', vip: string): Read<Uint8Array> {
  return like(
    list(address(family), { min: 1, max: 1 }),
    (node: YamlNode, name: string, report: Report): Uint8Array | undefined => {
      if (node.kind !== 'list' || node.items.length === 1) {
        return address(family)(node.kind === 'list' ? (node.items[0] ?? node) : node, name, report);
      }
      const hint = `make each a VIP: ${vip}-1: { ${name}: ... }, ${vip}-2: { ${name}: ... }`;
      report.error(
        'PH125',
        `a VIP can have one ${name}, got a list of ${node.items.length}`,
        nodePlace(node, 0, 1),
        hint,
      );
      return undefined;
    },
  );
}

/** Reads the CNAME of a service's answer. A mistake is reported with `code`. */
function cname(apex: Name, code: string): Read<Name> {
  return like(text(), (node: YamlNode, name: string, report: Report): Name | undefined => {
    if (text()(node, name, report) === undefined || node.kind !== 'scalar') return undefined;
    const mistaken = mistakenForHost(node.text);
    if (mistaken === undefined) return readName(node, apex, code, report);
    const hint = mistaken.startsWith('the address') ? 'write an address under A or AAAA' : 'write the name alone';
    report.error(code, `CNAME must be a host name, got ${mistaken}`, nodePlace(node), hint);
    return undefined;
  });
}

/** `target`: `www.example.com/seoul-a`. */
type VipNames = {
  readonly target: string;
  readonly region: Read<string>;
  readonly apex: Name;
  readonly find: FindCheck;
};

/** The reader of a VIP's keys. */
function vipKeys({ target, region, apex, find }: VipNames) {
  const vip = target.slice(target.lastIndexOf('/') + 1);
  return map(
    'vip',
    {
      region: optional(region),
      A: optional(oneAddress('IPv4', vip)),
      AAAA: optional(oneAddress('IPv6', vip)),
      CNAME: optional(cname(apex, 'PH202')),
      weight: withDefault(integer({ min: 0, max: MAX_WEIGHT, hint: 'default 1; 0 for standby' }), 1),
      capacity: withDefault(capacity, 1),
      service: optional(text()),
      probe: optional(fromEnvironment(probe)),
      check: optional(checkOrNone(target, find)),
    },
    TYPE_KEYS,
  );
}

function readVip(service: string, key: YamlScalar, node: YamlNode, context: ServiceContext): Vip | undefined {
  const { apex, regions, brokenRegions, checks, brokenChecks, once, report } = context;
  const usable = isTargetName(key, 'VIP', report);
  const bare = node.kind === 'scalar' ? parseAddress(node.text) : undefined;
  if (node.kind === 'scalar' && bare) {
    const type = bare.length === 4 ? 'A' : 'AAAA';
    const address = bare.length === 4 ? node.text : `"${node.text}"`;
    const message = `VIP ${key.text} must be a map, got the address ${node.text}`;
    report.error('PH127', message, nodePlace(node), `write ${key.text}: { ${type}: ${address} }`);
    return undefined;
  }
  const region: Read<string> = (value, name, inner) => {
    const named = text()(value, name, inner);
    if (named === undefined || regions.has(named) || brokenRegions.has(named)) return named;
    const hint = nearestHint(named, regions.keys());
    once(`region ${named}`, 'PH206', `unknown region "${named}"`, nodePlace(value), hint);
    return named; // kept, so that steps which name it are not reported too
  };
  const find = findAmong(checks, brokenChecks, once);
  const keys = vipKeys({ target: `${service}/${key.text}`, region, apex, find });
  const read = keys(node, `VIP ${key.text}`, report);
  if (!read || !usable) return undefined;
  const has = (field: string): boolean => valueOf(node, field) !== undefined;
  if (read.service !== undefined) return readInner(key, node, read, context);
  const hasAddress = has('A') || has('AAAA');
  if (has('CNAME') && (hasAddress || hasRrsets(node))) {
    const hint = 'a name with a CNAME has nothing else (RFC 2181 10.1): keep one of them';
    const beside = hasAddress ? 'an address' : 'other records';
    report.error('PH202', `VIP ${key.text} has a CNAME beside ${beside}`, nodePlace(key), hint);
  } else if (!has('CNAME') && !hasAddress && !hasRrsets(node)) {
    const hint = 'add A, AAAA, CNAME, records of another type, such as TXT, or service';
    report.error('PH201', `VIP ${key.text} has no records`, nodePlace(key), hint);
  }
  const rrsets = readRrsets(node, apex, report);
  const { region: inRegion, A: a, AAAA: aaaa, CNAME: target, weight, capacity: full } = read;
  const published = a ? formatAddress(a) : aaaa ? formatAddress(aaaa) : target && formatName(target);
  const checkNode = valueOf(node, 'check');
  const at = read.probe && withHost(read.probe, published ?? '');
  return {
    name: key.text,
    region: inRegion,
    a,
    aaaa,
    cname: target,
    rrsets,
    weight,
    capacity: full,
    probe: at,
    own: read.check && checkNode && { check: read.check, node: checkNode },
    place: nodePlace(key),
  };
}

/** Keys that only VIPs with records have. */
const KEYS_OF_RECORDS = ['A', 'AAAA', 'CNAME', 'check', 'probe', 'capacity'] as const;

/** Reads a VIP that is a service. */
function readInner(
  key: YamlScalar,
  node: YamlNode,
  { region, weight, capacity: full }: { readonly region: string | undefined; readonly weight: number; readonly capacity: number }, // prettier-ignore
  { apex, report, findService }: ServiceContext,
): Vip | undefined {
  const named = valueOf(node, 'service');
  if (named?.kind !== 'scalar') return undefined;
  const other = KEYS_OF_RECORDS.find((each) => valueOf(node, each) !== undefined);
  if (other !== undefined || hasRrsets(node)) {
    const isRecord = other === undefined || /^[A-Z]/.test(other);
    const hint = isRecord ? 'make the records a VIP, or remove service' : `its VIPs have their own: remove ${other}`;
    const message = `VIP ${key.text} is the service ${named.text}, and has ${isRecord ? 'records' : other}`;
    report.error('PH253', message, nodePlace(key), hint);
    return undefined;
  }
  const inner = findService?.(named);
  if (!inner || isTooLarge(inner)) return undefined;
  const rrsets = readRrsets(node, apex, report);
  const none = { a: undefined, aaaa: undefined, cname: undefined, rrsets, probe: undefined, own: undefined };
  return { name: key.text, region, weight, capacity: full, ...none, inner, place: nodePlace(key) };
}

type Probe = {
  readonly host: string | undefined;
  readonly port: number | undefined;
  readonly written?: string | undefined;
};

/** `10.1.0.10:8443`, `[2001:db8::1]:8443`, an address or a name alone, or `:8443` at the published address. */
const probe = scalar<Probe>(
  'an address, a name or a port to connect to',
  (value, { written }) => {
    const found = parseProbe(value);
    return found && written !== undefined ? { ...found, written } : found;
  },
  {
    schema: anyOf(
      pattern(/^(?=.)(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_][\w.-]*|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*)?(?::\d{1,5})?$/),
      {
        type: 'boolean',
      },
    ),
    code: 'PH217',
    hint: 'such as "10.1.0.10:8443", "[2001:db8::1]:8443", 10.1.0.10 or ":8443"',
  },
);

/** The probe at its own host, or at the published one. What is written then has the host too: it tells VIPs apart. */
function withHost({ host, port, written }: Probe, published: string): Probe & { readonly host: string } {
  if (host !== undefined || written === undefined) return { host: host ?? published, port, written };
  return { host: published, port, written: `${published.includes(':') ? `[${published}]` : published}${written}` };
}

function parseProbe(value: string): Probe | undefined {
  if (parseAddress(value)) return { host: value, port: undefined };
  const match = /^(?:\[([^\]]+)\]|([^:[\]]*))(?::(\d{1,5}))?$/.exec(value);
  if (!match) return undefined;
  const [, bracketed, bare = '', digits] = match;
  const port = digits === undefined ? undefined : Number(digits);
  if (port !== undefined && (port < 1 || port > 65_535)) return undefined;
  if (bracketed !== undefined) return parseAddress(bracketed)?.length === 16 ? { host: bracketed, port } : undefined;
  if (bare === '') return port === undefined ? undefined : { host: undefined, port };
  // A last label of digits is a malformed address (RFC 3696 2): 10.1.0.300.
  const isName = /^(?=.{1,253}$)[A-Za-z0-9_](?:[\w.-]*[\w.])?$/.test(bare) && !/(?:^|\.)\d+\.?$/.test(bare);
  return parseAddress(bare) || isName ? { host: bare, port } : undefined;
}

/**
 * Warns of VIPs with the same address. Usually one VIP was copied from the other. If one of them is drained, the other
 * still serves the address.
 */
function warnCommonAddress(vips: readonly Vip[], report: Report): void {
  const published = vips.flatMap((vip) => [vip.a ?? [], vip.aaaa ?? []].flat().map((address) => ({ vip, address })));
  for (const [address, those] of Map.groupBy(published, (each) => formatAddress(each.address))) {
    const [first, second, ...others] = those;
    if (!first || !second) continue;
    const more = others.length === 0 ? '' : ` and ${others.length} more VIPs`;
    const message = `${first.vip.name}, ${second.vip.name}${more} have the same address: ${address}`;
    report.warning('PH234', message, second.vip.place, 'make them one VIP, or correct the address');
  }
}

/** RFC 2181 10.1: a name has one CNAME. */
function warnOneCname(
  [vip]: readonly Vip[],
  { answers: stated = 1, steer }: { readonly answers: number | undefined; readonly steer: readonly StepSpec[] },
  node: YamlNode | undefined,
  report: Report,
): void {
  if (!vip || !hasData(vip, 'cname') || !node) return;
  if (stated === 1 && !steer.some((step) => traitsOf(step).servesAll)) return;
  const message = 'an answer can have one CNAME: only the first VIP is served';
  report.warning('PH235', message, nodePlace(node, 0, 1), 'remove answers and all; the steps choose the first VIP');
}

/** Reports VIPs without a port for a tcp check: if the check has no port, each `probe` needs one. */
function checkPorts(vips: readonly CheckedVip[], report: Report): void {
  for (const { vip, check } of vips) {
    const portless = check && checkWithoutPort(check);
    if (!portless || vip.probe?.port !== undefined) continue;
    const message = `the check ${portless.name} has no port for ${vip.name}`;
    report.error('PH218', message, vip.place, 'add port: to the check, or probe: "10.1.0.10:443" to the VIP');
  }
}

/** Reports VIPs that have nothing for their check to connect to. */
function checkEndpoints(vips: readonly CheckedVip[], report: Report): void {
  for (const { vip, check } of vips) {
    const { name, a, aaaa, cname, probe: at, place } = vip;
    if (!check || a || aaaa || cname || (at !== undefined && at.host !== '')) continue;
    const message = `the check ${check.name} has nothing to connect to: VIP ${name} has no address`;
    report.error('PH247', message, place, 'add probe: "10.1.0.10:443" to the VIP, or an address');
  }
}

/** Reports more types than steering has bits for. */
function checkTypes(vips: readonly Vip[], report: Report): void {
  const types = otherTypes({ vips });
  const [first] = vips;
  if (types.length <= MAX_OTHER_TYPES || !first) return;
  const message = `the VIPs have ${types.length} types besides A, AAAA and CNAME; a service can have at most ${MAX_OTHER_TYPES}`;
  report.error('PH248', message, first.place, 'write the records of some types under records');
}

/** The first tcp check without a port: the check itself, or one that it is made of. */
function checkWithoutPort(spec: CheckSpec): CheckSpec | undefined {
  if ('port' in spec && spec.port === 0) return spec;
  return 'members' in spec ? spec.members.find((member) => checkWithoutPort(member)) : undefined;
}

/**
 * `serve_all`, `none`, or a static answer: addresses and records of other types, or a CNAME alone. `types`: see
 * `answeredTypes`.
 */
function whenAllDown(apex: Name, types: readonly number[]): Read<WhenAllDown> {
  const hint = 'serve_all, none, { A: 192.0.2.99 } or { CNAME: sorry.example.net. }';
  const addresses = (family: 'IPv4' | 'IPv6'): Read<string[]> => {
    const read = list(address(family), { min: 1, max: MAX_VIPS });
    // RFC 2181 5: an RRset has no duplicates.
    return like(read, (node: YamlNode, name: string, report: Report): string[] | undefined => {
      const addresses = read(node, name, report);
      return addresses && [...new Set(addresses.map((bytes) => formatAddress(bytes)))];
    });
  };
  const readStatic = map(
    'when_all_down',
    {
      A: withDefault(addresses('IPv4'), []),
      AAAA: withDefault(addresses('IPv6'), []),
      CNAME: optional(cname(apex, 'PH216')),
    },
    TYPE_KEYS,
  );
  const schema = (): JsonSchema =>
    anyOf({ enum: ['serve_all', 'none'] }, notEmpty(schemaOf(readStatic, 'when_all_down')));
  return described(schema, (node: YamlNode, name: string, report: Report): WhenAllDown | undefined => {
    if (node.kind === 'scalar' && (node.text === 'serve_all' || node.text === 'none')) return { kind: node.text };
    if (node.kind === 'broken') return undefined;
    if (node.kind === 'reference') {
      refuseReference(node, name, report);
      return undefined;
    }
    if (node.kind !== 'map' || node.entries.length === 0) {
      const got = node.kind === 'scalar' ? show(node.text) : node.kind === 'list' ? 'a list' : 'nothing';
      report.error('PH216', `${name} must be serve_all, none or a static answer, got ${got}`, nodePlace(node), hint);
      return undefined;
    }
    const read = readStatic(node, name, report);
    if (!read) return undefined;
    const hasAddress = (valueOf(node, 'A') ?? valueOf(node, 'AAAA')) !== undefined;
    if (valueOf(node, 'CNAME') && (hasAddress || hasRrsets(node))) {
      const beside = hasAddress ? 'an address' : 'other records';
      report.error('PH216', `${name} has a CNAME beside ${beside}`, nodePlace(node, 0, 1), hint);
      return undefined;
    }
    const rrsets = readRrsets(node, apex, report);
    const own = [...(read.A.length > 0 ? [TYPE.A] : []), ...(read.AAAA.length > 0 ? [TYPE.AAAA] : [])];
    const idle = [...own, ...(rrsets ?? []).map(({ type }) => type)].find((type) => !types.includes(type));
    if (idle !== undefined) {
      const message = `${name} has ${typeText(idle)} records, and no VIP has: they would never be served`;
      report.error('PH216', message, nodePlace(node, 0, 1), 'give the VIPs such records, or write them under records');
    }
    return { kind: 'static', a: read.A, aaaa: read.AAAA, cname: read.CNAME, rrsets };
  });
}

/** Whether its answers can be CNAMEs: then its owner may have no other records (RFC 1034 3.6.2). */
export function answersWithCname(service: ServiceModel): boolean {
  if (service.vips.some((vip) => vip.cname ?? (vip.inner && answersWithCname(vip.inner)))) return true;
  return service.whenAllDown.kind === 'static' && service.whenAllDown.cname !== undefined;
}

/** Reads `services`. Reports two with the same owner. */
export function readServices(
  node: YamlNode,
  ownerOf: (key: YamlScalar) => Name | undefined,
  context: ServiceContext,
): ServiceModel[] {
  const { report, templates = NO_SHARED } = context;
  const tell = createTemplateReporter(report);
  const owners = new Map<string, YamlScalar>();
  const known = new Map<YamlScalar, ServiceModel | undefined>();
  // Those that are being read: each leads to the next.
  const way: YamlScalar[] = [];
  const readOnce = (entry: YamlEntry): ServiceModel | undefined => {
    const { key } = entry;
    if (known.has(key)) return known.get(key);
    way.push(key);
    const model = readOne(entry);
    way.pop();
    known.set(key, model);
    return model;
  };
  const findService = serviceFinder(node, context, way, readOnce);
  const readOne = (entry: YamlEntry): ServiceModel | undefined => {
    const owner = ownerOf(entry.key);
    const first = owner && owners.get(nameKey(owner));
    if (first) {
      const message = `${entry.key.text} is the same name as ${first.text} on line ${nodePlace(first).line}`;
      report.error('PH219', message, nodePlace(entry.key), 'make them one service');
    }
    if (owner && !first) owners.set(nameKey(owner), entry.key);
    if (!owner) return undefined;
    const used = expandService(entry, { templates, report });
    if (!used?.template)
      return used && readService(owner, { ...entry, value: used.value }, { ...context, findService });
    const own = createReport();
    const model = readService(owner, { ...entry, value: used.value }, { ...context, findService, report: own });
    tell(own.diagnostics, formatName(canonical(owner)), nodePlace(entry.key), used.template);
    return model;
  };
  return dictionary(readOnce)(node, 'services', report) ?? [];
}
