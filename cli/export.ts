/**
 * `pharos export ZONE`: a zone as an RFC 1035 master file that BIND, NSD and Knot load. Steered names have their
 * default answer, the one of a zone transfer. What a master file cannot express is in comments.
 */
import { writeFileSync } from 'node:fs';
import { nearestHint } from '../config/nearest-word.ts';
import { plainText } from '../config/plain-text.ts';
import { formatDuration } from '../config/units.ts';
import { codeOf } from '../config/unknown-values.ts';
import { createDefaultAnswers, type DefaultAnswers } from '../server/transfer/default-answer.ts';
import { sharedMapOf, type StepSpec } from '../steering/steps.ts';
import { canonical, formatName, nameKey, type Name } from '../wire/name.ts';
import { get16 } from '../wire/octets.ts';
import { formatRdata, nameAt } from '../wire/rdata.ts';
import { TYPE, TYPE_NUMBERS, typeText } from '../wire/types.ts';
import { viewImage } from '../zones/image/image.ts';
import { loadWithZones, type LoadedGeneration } from '../zones/load-generation.ts';
import { innerServices, rdataOfType, type ServiceModel, type ZoneModel } from '../zones/read/model.ts';
import { ownerOf, rdataOf, recordTtl, recordType } from '../zones/read/record-store.ts';
import { octodnsFile } from './export-octodns.ts';
import { loadInputFor } from './load-input.ts';
import { nameArgument } from './name-argument.ts';
import { EXIT, fail, plural, showDiagnostics, type Output } from './output.ts';
import { startProgress } from './progress.ts';
import { answersText, dataText, downText, probeText, shedText, optionsText, ttlText } from './service-text.ts';
import { readVersion } from './version.ts';

/** `output`: a file; undefined for stdout. */
export type ExportOptions = {
  readonly zone: string;
  readonly format: string;
  readonly config: string | undefined;
  readonly output: string | undefined;
};

const EXPORT_FORMATS = ['bind', 'octodns'] as const;

export function exportZone(options: ExportOptions, output: Output): number {
  const apex = nameArgument(options.zone);
  const format = EXPORT_FORMATS.find((each) => each === options.format);
  if (!format) {
    return fail('export', `unknown format "${options.format}"; use ${EXPORT_FORMATS.join(' or ')}`, EXIT.USAGE, output);
  }
  if (!apex) return fail('export', `${options.zone} is not a domain name`, EXIT.USAGE, output);
  using progress = startProgress(['Reading the files', 'Writing the zone'], output);
  const loaded = loadWithZones(loadInputFor(options.config));
  if (!loaded.ok) {
    showDiagnostics(loaded.diagnostics, output);
    return EXIT.FAILED;
  }
  const { generation, zones } = loaded.value;
  const zone = zones.find((each) => nameKey(each.apex) === nameKey(apex));
  if (!zone) return unknownZone(options.zone, zones, output);
  progress.next();
  const written = format === 'octodns' ? octodnsExport(zone) : masterFile(zone, generation);
  if (options.output === undefined) output.out(written.text.trimEnd());
  else {
    try {
      writeFileSync(options.output, written.text);
    } catch (error) {
      const message = `cannot write ${options.output} (${codeOf(error)}): name a file in an existing folder`;
      return fail('export', message, EXIT.FAILED, output);
    }
  }
  const how = format === 'octodns' ? ' as pools and rules' : ' by default answers';
  const counts = [plural(written.records, 'record'), `${plural(zone.services.length, 'service')}${how}`];
  const where = options.output === undefined ? '' : ` -> ${options.output}`;
  output.error(`${output.styleError('bold', formatName(zone.apex))}: ${counts.join(', ')}${where}`);
  for (const what of written.dropped) output.error(`  ${output.styleError('yellow', 'dropped')} ${what}`);
  return EXIT.OK;
}

function unknownZone(name: string, zones: readonly ZoneModel[], output: Output): number {
  const names = zones.map(({ apex }) => formatName(apex));
  return fail('export', `unknown zone ${name}; ${nearestHint(name, names)}`, EXIT.FAILED, output);
}

/** `dropped`: what is only in comments, and why. */
type MasterFile = { readonly text: string; readonly records: number; readonly dropped: readonly string[] };

/** Everything that octoDNS does not have is also a comment in the file. */
function octodnsExport(zone: ZoneModel): MasterFile {
  const { text, records, notes } = octodnsFile(zone, readVersion());
  return { text, records, dropped: notes };
}

/** The zone as a master file. Every name in it is absolute. */
export function masterFile(zone: ZoneModel, generation: LoadedGeneration): MasterFile {
  const lines: string[] = [];
  let records = 0;
  const add = (owner: Name, ttlSeconds: number, type: number, data: string): void => {
    lines.push(`${absolute(owner)}\t${ttlSeconds}\tIN\t${data}`);
    if (type !== TYPE.SOA) records++;
  };
  const { catalog, image, atlas } = generation;
  const weights = Int32Array.from(catalog.vips, ({ weight }) => weight);
  const defaults = createDefaultAnswers(viewImage(image, atlas), weights);
  const obsolete: string[] = [];
  for (const { owner, ttlSeconds, type, rdata } of rowsOf(zone, generation)) {
    if (!REFUSED.has(type)) add(owner, ttlSeconds, type, formatData(type, rdata));
    else obsolete.push(`${absolute(owner)} ${ttlSeconds} IN ${typeText(type)} ${formatRdata(type, rdata)}`);
  }
  if (obsolete.length > 0) lines.push('', ...['obsolete types', ...obsolete].map(comment));
  lines.push(...mapComments(zone.services));
  const dropped = obsolete.map((record) => `${record}: an obsolete type, which BIND refuses`);
  for (const service of zone.services) {
    lines.push('', ...serviceComments(service));
    const before = records;
    for (const { type, ttlSeconds, values } of answersOf(service, generation, defaults)) {
      for (const value of values) add(service.owner, ttlSeconds, type, value);
    }
    if (records > before) continue;
    dropped.push(`${service.name}: its default answer has no data`);
    lines.push(comment('  its default answer has no data'));
  }
  for (const [index, { owner, target }] of (zone.aliases ?? []).entries()) {
    const answer = zone.resolved?.[index];
    const path = answer?.path.join(' -> ') ?? formatName(target);
    lines.push('', comment(`${formatName(owner)} has an ALIAS: ${path}`));
    if (answer?.kind === 'records') {
      lines.push(comment('  its addresses, which are among the records, are those of that name'));
    } else if (answer?.kind === 'service') {
      for (const { type, ttlSeconds, values } of answersOf(answer.service, generation, defaults)) {
        for (const value of values) add(owner, ttlSeconds, type, value);
      }
    } else {
      dropped.push(`${formatName(owner)}: its ALIAS leads to no addresses`);
    }
  }
  const head = [
    comment(`${absolute(zone.apex)} exported by Pharos ${readVersion()}`),
    ...(zone.services.length === 0
      ? []
      : [
          comment('Steered names have their default answer: that of a client of unknown location, with all VIPs up.'),
          comment('Comments say how Pharos steers them.'),
        ]),
  ];
  return { text: `${[...head, ...lines].join('\n')}\n`, records: records + 1, dropped };
}

type Row = { readonly owner: Name; readonly ttlSeconds: number; readonly type: number; readonly rdata: Uint8Array };

/** The static records, with the SOA first and the other records of the apex behind it. */
function rowsOf({ records, apex, autoSerial }: ZoneModel, { catalog }: LoadedGeneration): readonly Row[] {
  const zone = formatName(canonical(apex));
  const serial = catalog.zones.find(({ name }) => name === zone)?.serial ?? 0;
  const [soa, atApex, others]: [Row[], Row[], Row[]] = [[], [], []];
  for (let row = 0; row < records.count; row++) {
    const type = recordType(records, row);
    const owner = ownerOf(records, row).slice();
    const rdata = rdataOf(records, row).slice();
    const isSoa = type === TYPE.SOA;
    // RFC 1035 3.3.13: the serial and four more numbers are the end of an SOA.
    if (isSoa && autoSerial) new DataView(rdata.buffer).setUint32(rdata.length - 20, serial);
    const group = isSoa ? soa : owner.length === apex.length ? atApex : others;
    group.push({ owner, ttlSeconds: recordTtl(records, row), type, rdata });
  }
  return [...soa, ...atApex, ...others];
}

/** `values`: type and data of each record. */
type SteeredRrset = { readonly type: number; readonly ttlSeconds: number; readonly values: readonly string[] };

const COLUMNS: Readonly<Record<number, 'a' | 'aaaa' | 'svcb'>> = {
  [TYPE.A]: 'a',
  [TYPE.AAAA]: 'aaaa',
  [TYPE.HTTPS]: 'svcb',
  [TYPE.SVCB]: 'svcb',
};

/** The default answer of a service: data of VIPs, or the static answer of `when_all_down`. */
function answersOf(
  root: ServiceModel,
  { catalog }: LoadedGeneration,
  defaults: DefaultAnswers,
): readonly SteeredRrset[] {
  const models = [root, ...innerServices(root)];
  const number = catalog.services.findIndex((service) => service.name === root.name);
  return defaults.of(number).map(({ service, type, ttlSeconds, slots, rrsets }) => {
    const { name, firstSlot = 0 } = catalog.services[service] ?? {};
    const { vips, whenAllDown } = models.find((model) => model.name === name) ?? root;
    const column = COLUMNS[type] ?? 'cname';
    const values = slots.flatMap((slot) => {
      const vip = vips[slot - firstSlot];
      const others = vip && rdataOfType(vip, type);
      return others && others.length > 0 ? others : (vip?.[column] ?? []);
    });
    if (slots.length > 0 || rrsets.length === 0 || whenAllDown.kind !== 'static') {
      return { type, ttlSeconds, values: [...new Set(values.map((value) => formatData(type, value)))] };
    }
    const { cname } = whenAllDown;
    const textsOf = (texts: readonly string[]): SteeredRrset => ({
      type,
      ttlSeconds,
      values: texts.map((text) => `${typeText(type)}\t${text}`),
    });
    const others = rdataOfType(whenAllDown, type);
    if (others.length > 0) return { type, ttlSeconds, values: others.map((data) => formatData(type, data)) };
    if (column === 'a' || column === 'aaaa') return textsOf(whenAllDown[column]);
    return textsOf(cname ? [absolute(cname)] : []);
  });
}

/** Describes how a service is steered, which a master file cannot express. */
function serviceComments(service: ServiceModel): readonly string[] {
  const { name, steps, vips, whenAllDown, partial, rampMs, shed } = service;
  const texts = steps.map((step) => {
    const map = sharedMapOf(step);
    if (map) return `geo: $${map.name}`;
    const words = stepWords(step, service);
    return words === '' ? step.kind : `${step.kind}: ${words}`;
  });
  return [
    `${name} is steered`,
    `  ttl: ${ttlText(service)}, answers: ${answersText(service)}, when_all_down: ${downText(whenAllDown)}`,
    ...(partial === undefined ? [] : [`  partial: ${partial}`]),
    ...(rampMs === 0 ? [] : [`  ramp: ${formatDuration(rampMs)}`]),
    ...(shed === undefined ? [] : [`  shed: ${shedText(service)}`]),
    ...vips.map((vip) => {
      const region = vip.region === undefined ? '' : `, region ${vip.region}`;
      const check = vip.check === undefined ? '' : `, check ${vip.check.name}`;
      const probe = vip.probe === undefined ? '' : `, probe ${probeText(vip)}`;
      return `  vip ${vip.name}: ${dataText(vip)}${region}, weight ${vip.weight}${check}${probe}`;
    }),
    ...texts.map((text) => `  step ${text}`),
  ].map(comment);
}

function stepWords(step: StepSpec, service: ServiceModel): string {
  const { entries = new Map<string, string>(), options = [] } = optionsText(step, service);
  // `geo KR: seoul`, `nearest: within 300 km`: the step is named already.
  const words = [...entries, ...options].map(([key, text]) =>
    key === step.kind ? text : `${key.replace(`${step.kind} `, '')}: ${text}`,
  );
  return words.join('; ');
}

/** The shared maps that services use, each once. */
function mapComments(services: readonly ServiceModel[]): readonly string[] {
  const words = new Map<string, string>();
  for (const service of services) {
    for (const step of service.steps) {
      const map = sharedMapOf(step);
      if (map && !words.has(map.name)) words.set(map.name, stepWords(step, service));
    }
  }
  return words.size === 0 ? [] : ['', ...[...words].map(([name, text]) => comment(`map ${name}: ${text}`))];
}

/** A comment on one line. Names may contain any octet, such as a line feed. */
function comment(text: string): string {
  return `; ${plainText(text)}`;
}

/**
 * Types that BIND, NSD and Knot of today's distributions read by their names. Others are written in the form for
 * unknown types (RFC 3597 5), which all of them read.
 */
const NAMED: ReadonlySet<number> = new Set(
  [
    'A NS CNAME SOA PTR HINFO MINFO MX TXT RP AFSDB RT AAAA LOC SRV NAPTR KX CERT DNAME APL DS SSHFP IPSECKEY',
    'RRSIG NSEC DNSKEY DHCID NSEC3 NSEC3PARAM TLSA SMIMEA CDS CDNSKEY OPENPGPKEY CSYNC ZONEMD SVCB HTTPS SPF',
    'NID L32 L64 LP EUI48 EUI64 URI CAA',
  ]
    .join(' ')
    .split(' ')
    .map((type) => TYPE_NUMBERS.get(type) ?? 0),
);

/** BIND 9.18 refuses a zone with these (RFC 973: obsolete). */
const REFUSED: ReadonlySet<number> = new Set([TYPE_NUMBERS.get('MD') ?? 0, TYPE_NUMBERS.get('MF') ?? 0]);

/** Type and data. */
function formatData(type: number, rdata: Uint8Array): string {
  const isNamed = NAMED.has(type) && !((type === TYPE.SVCB || type === TYPE.HTTPS) && hasNewParameter(rdata));
  if (isNamed) return `${typeText(type)}\t${formatRdata(type, rdata)}`;
  const octets = rdata.length === 0 ? '' : ` ${Buffer.from(rdata).toString('hex')}`;
  return `TYPE${type}\t\\# ${rdata.length}${octets}`;
}

/** Whether a SVCB or HTTPS record has a parameter that was named after RFC 9460, so that not all servers know it. */
function hasNewParameter(rdata: Uint8Array): boolean {
  // RFC 9460 2.2: priority, target, and parameters with key and length.
  let at = 2 + nameAt(rdata, 2).length;
  while (at + 4 <= rdata.length) {
    const key = get16(rdata, at);
    if (key > SVC_IPV6HINT && key < SVC_PRIVATE) return true;
    at += 4 + get16(rdata, at + 2);
  }
  return false;
}
const SVC_IPV6HINT = 6;
/** From this number on, keys have only names such as `key65280`. */
const SVC_PRIVATE = 65_280;

function absolute(name: Name): string {
  return name.length === 1 ? '.' : `${formatName(name)}.`;
}
