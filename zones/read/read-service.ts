/**
 * One service of a zone file (docs/configuration.md#services): its VIPs, check, steps and TTL.
 */
import type { CheckSpec } from '../../config/check-kinds.ts';
import { createReport, hasErrors, type Report, type ReportOnce } from '../../config/diagnostics.ts';
import {
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
import { checkOrName, findAmong } from '../../config/read-checks.ts';
import { isTargetName, TARGET_NAME } from '../../config/read-regions.ts';
import { anyOf, described, notEmpty, like, openMap, pattern, schemaOf, type JsonSchema } from '../../config/schema.ts';
import type { RegionSpec } from '../../config/settings.ts';
import { nodePlace, refuseReference, type YamlEntry, type YamlNode, type YamlScalar } from '../../config/yaml.ts';
import { DEFAULT_STEPS, traitsOf, type StepSpec } from '../../steering/steps.ts';
import { formatAddress, parseAddress } from '../../wire/address.ts';
import { MAX_ANSWERS, MAX_VIPS } from '../../wire/limits.ts';
import { canonical, formatName, nameKey, ROOT, type Name } from '../../wire/name.ts';
import { mistakenForHost } from './host-names.ts';
import { judgeWeights } from './judge-steps.ts';
import type { ServiceModel, VipModel, WhenAllDown } from './model.ts';
import { capacity, checkLoad, shed } from './read-load.ts';
import { readName, ttl } from './read-records.ts';
import { steps } from './read-steps.ts';
import type { StepsContext } from './step-options.ts';

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
  /** If pharos.yaml has no `fleet`: the checks for whose fleet keys there was a warning. */
  readonly withoutFleet?: Set<CheckSpec> | undefined;
};

type Vip = Omit<VipModel, 'check'>;

/** Reads the service at `key`. Undefined if it has no usable VIP. */
function readService(owner: Name, { key, value }: YamlEntry, context: ServiceContext): ServiceModel | undefined {
  const { regions, report } = context;
  const name = formatName(canonical(owner));
  // Steps refer to regions and VIPs, so VIPs are read first, whatever the order of the keys.
  const vipsNode = valueOf(value, 'vips');
  const before = report.diagnostics.length;
  const vips = (vipsNode && readVips(vipsNode, context)) ?? [];
  const isKnown = ({ region }: Vip): boolean => region === undefined || regions.has(region);
  const stepsContext = {
    ...context,
    // A region with an invalid position was reported.
    regions: new Map([...regions].map(([id, { at, isMisplaced }]) => [id, at !== undefined || isMisplaced === true])),
    vips,
    // A mistake in a VIP may be the cause of mistakes in the steps that lead to it.
    isSound: vips.every(isKnown) && !hasErrors(report.diagnostics.slice(before)),
  };
  const read = serviceKeys(name, context, stepsContext)(value, `service ${key.text}`, report);
  if (!read || !vipsNode) return undefined;
  if (vips.length === 0) return undefined;
  checkPorts(vips, read.check, report);
  checkLoad(value, vipsNode, read.check, report);
  judgeFleetKeys(valueOf(value, 'check') ?? value, read.check, context);
  const ramp = valueOf(value, 'ramp');
  const weighsRegions = vips.some(({ region }) => (regions.get(region ?? '')?.minHealthy ?? 0) > 0);
  if (stepsContext.isSound) judgeWeights(read.steer, vips, weighsRegions, ramp && nodePlace(ramp), report);
  warnCommonAddress(vips, report);
  warnOneCname(vips, read, valueOf(value, 'answers') ?? valueOf(value, 'steer'), report);
  return {
    owner,
    name,
    ttl: read.ttl,
    vips: vips.map((vip) => ({ ...vip, check: read.check })),
    steps: read.steer,
    // `all` keeps every candidate (docs/steering.md#all), so the answer has all of them by default.
    answers: read.answers ?? (read.steer.some((step) => traitsOf(step).servesAll) ? MAX_VIPS : 1),
    whenAllDown: read.when_all_down,
    rampMs: read.ramp,
    shed: read.shed,
    place: nodePlace(key),
  };
}

/** The reader of a service's keys. */
function serviceKeys(name: string, context: ServiceContext, stepsContext: StepsContext) {
  const { apex } = context;
  return map('service', {
    ttl: withDefault(serviceTtl, { minSeconds: context.defaultTtlSeconds, maxSeconds: context.defaultTtlSeconds }),
    check: optional(checkOrName(name, findAmong(context.checks, context.brokenChecks, context.once))),
    vips: required(alreadyRead, 'such as vips: { seoul-a: { region: seoul, A: 203.0.113.10 } }'),
    steer: withDefault(steps(stepsContext), [...DEFAULT_STEPS]),
    answers: optional(answers),
    when_all_down: withDefault(whenAllDown(apex), { kind: 'serve_all' }),
    ramp: withDefault(duration({ maxMs: MAX_RAMP_MS }), 0),
    shed: optional(shed),
  });
}

/** The schema of `services`. Whether names of regions, checks and VIPs exist, only the reader knows. */
export function servicesSchema(): JsonSchema {
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
  return openMap(schemaOf(serviceKeys('', empty, empty), 'services'));
}

/** The keys of a check that only a fleet uses. */
function judgeFleetKeys(node: YamlNode, check: CheckSpec | undefined, context: ServiceContext): void {
  const { regions, brokenRegions, once, withoutFleet, report } = context;
  if (check?.fleet === undefined) return;
  // A check that only nodes of an unknown region probe would never be probed.
  const unknown = (check.fleet.from ?? []).filter((named) => !regions.has(named) && !brokenRegions.has(named));
  for (const named of unknown) {
    const message = `the check has "from: ${named}", which is an unknown region`;
    once(`from ${named}`, 'PH236', message, nodePlace(node, 0, 1), nearestHint(named, regions.keys()));
  }
  if (unknown.length > 0 || withoutFleet === undefined || withoutFleet.has(check)) return;
  withoutFleet.add(check);
  const message = 'quorum, probers, from and view of the check have no effect: pharos.yaml has no fleet';
  report.warning('PH237', message, nodePlace(node, 0, 1), 'add fleet to pharos.yaml, or remove these keys');
}

/** VIPs are read before the other keys. */
const alreadyRead: Read<true> = described(
  () => notEmpty(openMap(schemaOf(vipKeys('', anyRegion, ROOT), 'vips'), TARGET_NAME)),
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

function readVips(node: YamlNode, context: ServiceContext): Vip[] | undefined {
  const { report } = context;
  const mistakes = report.diagnostics.length;
  if (node.kind === 'list') {
    const hint = 'give each a name and no "- ": seoul-a: { region: seoul, A: 203.0.113.10 }';
    report.error('PH126', 'vips must be a map of names to VIPs, got a list', nodePlace(node, 0, 1), hint);
    return undefined;
  }
  const vips = dictionary(({ key, value }) => readVip(key, value, context))(node, 'vips', report);
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
  const stranger = vips.find((vip) => (vip.cname === undefined) !== (first?.cname === undefined));
  if (first && stranger) {
    const [has, hasNot] = stranger.cname ? [stranger, first] : [first, stranger];
    const message = `${has.name} is a CNAME and ${hasNot.name} is an address`;
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

/** The reader of a VIP's keys. */
function vipKeys(vip: string, region: Read<string>, apex: Name) {
  return map('vip', {
    region: optional(region),
    A: optional(oneAddress('IPv4', vip)),
    AAAA: optional(oneAddress('IPv6', vip)),
    CNAME: optional(cname(apex, 'PH202')),
    weight: withDefault(integer({ min: 0, max: MAX_WEIGHT, hint: 'default 1; 0 for standby' }), 1),
    capacity: withDefault(capacity, 1),
    probe: optional(fromEnvironment(probe)),
  });
}

function readVip(key: YamlScalar, node: YamlNode, context: ServiceContext): Vip | undefined {
  const { apex, regions, brokenRegions, once, report } = context;
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
  const read = vipKeys(key.text, region, apex)(node, `VIP ${key.text}`, report);
  if (!read || !usable) return undefined;
  const has = (field: string): boolean => valueOf(node, field) !== undefined;
  if (has('CNAME') && (has('A') || has('AAAA'))) {
    const hint = 'A and AAAA publish an address, CNAME a name: keep one of them';
    report.error('PH202', `VIP ${key.text} has a CNAME beside an address`, nodePlace(key), hint);
  } else if (!has('CNAME') && !has('A') && !has('AAAA')) {
    report.error('PH201', `VIP ${key.text} has no address`, nodePlace(key), 'add A, AAAA or CNAME');
  }
  const { region: inRegion, A: a, AAAA: aaaa, CNAME: target, weight, capacity: full } = read;
  const published = a ? formatAddress(a) : aaaa ? formatAddress(aaaa) : target && formatName(target);
  const at = read.probe && { ...read.probe, host: read.probe.host ?? published ?? '' };
  return {
    name: key.text,
    region: inRegion,
    a,
    aaaa,
    cname: target,
    weight,
    capacity: full,
    probe: at,
    place: nodePlace(key),
  };
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
  if (vip?.cname === undefined || !node) return;
  if (stated === 1 && !steer.some((step) => traitsOf(step).servesAll)) return;
  const message = 'an answer can have one CNAME: only the first VIP is served';
  report.warning('PH235', message, nodePlace(node, 0, 1), 'remove answers and all; the steps choose the first VIP');
}

/** Reports VIPs without a port for a tcp check: if the check has no port, each `probe` needs one. */
function checkPorts(vips: readonly Vip[], spec: CheckSpec | undefined, report: Report): void {
  const portless = spec && checkWithoutPort(spec);
  if (!portless) return;
  for (const vip of vips) {
    if (vip.probe?.port !== undefined) continue;
    const message = `the check ${portless.name} has no port for ${vip.name}`;
    report.error('PH218', message, vip.place, 'add port: to the check, or probe: "10.1.0.10:443" to the VIP');
  }
}

/** The first tcp check without a port: the check itself, or one that it is made of. */
function checkWithoutPort(spec: CheckSpec): CheckSpec | undefined {
  if ('port' in spec && spec.port === 0) return spec;
  return 'members' in spec ? spec.members.find((member) => checkWithoutPort(member)) : undefined;
}

/** `serve_all`, `none`, or a static answer: addresses, or a CNAME alone. */
function whenAllDown(apex: Name): Read<WhenAllDown> {
  const hint = 'serve_all, none, { A: 192.0.2.99 } or { CNAME: sorry.example.net. }';
  const addresses = (family: 'IPv4' | 'IPv6'): Read<string[]> => {
    const read = list(address(family), { min: 1, max: MAX_VIPS });
    // RFC 2181 5: an RRset has no duplicates.
    return like(read, (node: YamlNode, name: string, report: Report): string[] | undefined => {
      const addresses = read(node, name, report);
      return addresses && [...new Set(addresses.map((bytes) => formatAddress(bytes)))];
    });
  };
  const readStatic = map('when_all_down', {
    A: withDefault(addresses('IPv4'), []),
    AAAA: withDefault(addresses('IPv6'), []),
    CNAME: optional(cname(apex, 'PH216')),
  });
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
    if (valueOf(node, 'CNAME') && (valueOf(node, 'A') ?? valueOf(node, 'AAAA'))) {
      report.error('PH216', `${name} has a CNAME beside an address`, nodePlace(node, 0, 1), hint);
      return undefined;
    }
    return { kind: 'static', a: read.A, aaaa: read.AAAA, cname: read.CNAME };
  });
}

/** Whether its answers can be CNAMEs: then its owner may have no other records (RFC 1034 3.6.2). */
export function answersWithCname(service: ServiceModel): boolean {
  if (service.vips.some((vip) => vip.cname)) return true;
  return service.whenAllDown.kind === 'static' && service.whenAllDown.cname !== undefined;
}

/** Reads `services`. Reports two with the same owner. */
export function readServices(
  node: YamlNode,
  ownerOf: (key: YamlScalar) => Name | undefined,
  context: ServiceContext,
): ServiceModel[] {
  const { report } = context;
  const owners = new Map<string, YamlScalar>();
  const read = dictionary((entry): ServiceModel | undefined => {
    const owner = ownerOf(entry.key);
    const first = owner && owners.get(nameKey(owner));
    if (first) {
      const message = `${entry.key.text} is the same name as ${first.text} on line ${nodePlace(first).line}`;
      report.error('PH219', message, nodePlace(entry.key), 'make them one service');
    }
    if (owner && !first) owners.set(nameKey(owner), entry.key);
    return owner && readService(owner, entry, context);
  });
  return read(node, 'services', report) ?? [];
}
