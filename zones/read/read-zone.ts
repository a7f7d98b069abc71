/**
 * Reads one zone file (docs/configuration.md#zone-files) and the master files that it includes to a ZoneModel.
 */
import { basename, dirname, resolve } from 'node:path';
import {
  createReport,
  createReportOnce,
  hasErrors,
  reportOutside,
  type Place,
  type Report,
} from '../../config/diagnostics.ts';
import type { Environment } from '../../config/environment.ts';
import {
  keysOf,
  list,
  map,
  optional,
  required,
  scalar,
  text,
  valueOf,
  withDefault,
  type Read,
} from '../../config/fields.ts';
import { lookAt } from '../../config/folder.ts';
import type { IsCountry } from '../../config/network-fields.ts';
import { readYaml } from '../../config/parse-yaml.ts';
import { CHECK_DEFINITIONS, checks, findAmong } from '../../config/read-checks.ts';
import { isOutside } from '../../config/read-file.ts';
import { regions, withChecks, withoutChecks, type WrittenRegion } from '../../config/read-regions.ts';
import { ruleIsFor } from '../../config/read-updates.ts';
import { described, like, schemaOf, SOME_TEXT, type JsonSchema } from '../../config/schema.ts';
import type { Settings } from '../../config/settings.ts';
import { nodePlace, type YamlNode, type YamlScalar } from '../../config/yaml.ts';
import { dnssec, signingOf } from '../../dnssec/read-signing.ts';
import { MAX_NAME_OCTETS } from '../../wire/limits.ts';
import { canonical, formatName, NameError, nameKey, parseName, ROOT, type Name } from '../../wire/name.ts';
import { TYPE, typeText } from '../../wire/types.ts';
import { journalPath, type DynamicRecords } from '../journal/journal-file.ts';
import { reportBesideAliases, withAliases } from './alias-records.ts';
import { mergeDynamic, readDynamic } from './dynamic-records.ts';
import { tldKind } from './host-names.ts';
import { judgeNames } from './judge-names.ts';
import { readMasterFile } from './master-file.ts';
import {
  hasData,
  otherTypes,
  otherTypesOfVip,
  type AliasAnswer,
  type AliasModel,
  type ServiceModel,
  type ZoneModel,
} from './model.ts';
import { mapsSchema, readMaps } from './read-maps.ts';
import {
  addNameServers,
  findAtApex,
  nameServers,
  readOwner,
  readRecords,
  recordsSchema,
  soa,
  soaRdata,
  ttl,
  warnBeyondAscii,
  type RecordsTarget,
  type SoaFields,
} from './read-records.ts';
import { answersWithCname, readServices, servicesSchema, type ServiceContext } from './read-service.ts';
import { readTemplates, templatesSchema } from './read-templates.ts';
import {
  addFile,
  addRecord,
  createRecordStore,
  ownerOctets,
  ownerOf,
  recordType,
  type RecordStore,
} from './record-store.ts';
import { NO_SHARED, withOwn } from './shared-names.ts';
import { NO_PARTS, type SharedParts } from './shared-parts.ts';
import { whereWritten } from './validate-report.ts';
import { validateZone } from './validate.ts';

/** For records of a zone that states no TTL. */
const DEFAULT_TTL_SECONDS = 300;

export type ReadZoneInput = {
  /** Absolute path. */
  readonly file: string;
  readonly settings: Settings;
  readonly env: Environment;
  readonly report: Report;
  readonly isCountry?: IsCountry;
  /** The maps of pharos.yaml. */
  readonly shared?: SharedParts | undefined;
  /** Whether an update that is not in force yet must be valid. Otherwise an invalid one is dropped. */
  readonly judgesUpdate?: boolean;
};

export type ReadZone = ZoneModel & {
  /** Where the apex is stated. */
  readonly place: Place;
  /**
   * Reads the zone's dynamic records again, but not its files, and puts these answers of its aliases into it.
   * Undefined:
   * `updates` has no rule for the zone, and it has no aliases.
   */
  readonly again?: ((answers: readonly AliasAnswer[] | undefined, report: Report) => ReadZone) | undefined;
  /** Warns of names that are probably not intended. `apexes` has the keys (`nameKey`) of all zones' apexes. */
  readonly judge: (apexes: ReadonlySet<string>) => void;
};

/** A zone's apex; the final dot may be left out. */
const apexName: Read<Name> = scalar(
  'a domain name',
  (value) => {
    // Empty text would be the root, like `.`.
    if (value === '') return undefined;
    try {
      return parseName(value.endsWith('.') ? value : `${value}.`);
    } catch (error) {
      if (error instanceof NameError) return undefined;
      throw error;
    }
  },
  { code: 'PH100', hint: 'such as zone: example.com', schema: SOME_TEXT },
);

/** Returns the node itself, for keys that are read after the others. */
const later = (node: YamlNode): YamlNode | undefined => (node.kind === 'broken' ? undefined : node);

/** The reader of a zone file's keys. `shared` are the checks of pharos.yaml. */
function zoneKeys(apex: Name | undefined, isCountry: IsCountry, shared: Settings['checks']) {
  return map('zone', {
    zone: required(apexName, 'such as zone: example.com'),
    ttl: withDefault(ttl, DEFAULT_TTL_SECONDS),
    nameservers: optional(apex ? nameServers(apex) : skip<{ name: Name; line: number }[]>()),
    soa: optional(apex ? soa(apex) : skip<SoaFields>()),
    records: optional(described(recordsSchema, (given: YamlNode) => later(given))),
    include: withDefault(list(includePath, { min: 1, hint: 'such as [bulk.db]' }), []),
    regions: withDefault(regions(isCountry), new Map()),
    checks: withDefault(checks(shared), new Map()),
    maps: optional(described(mapsSchema, (given: YamlNode) => later(given))),
    templates: optional(described(templatesSchema, (given: YamlNode) => later(given))),
    services: optional(described(servicesSchema, (given: YamlNode) => later(given))),
    dnssec: withDefault(dnssec, false),
  });
}

/** The JSON Schema of zone files. */
export function zoneSchema(): JsonSchema {
  const schema = schemaOf(zoneKeys(ROOT, undefined, new Map()), 'zone');
  return { ...(schema as object), definitions: CHECK_DEFINITIONS() };
}

/**
 * Reads a zone file and its includes. Returns undefined if the file states no zone. Otherwise it returns a value even
 * after mistakes: it is usable only if `report` has no errors. `place` is where the apex is stated.
 */
export function readZone(input: ReadZoneInput): ReadZone | undefined {
  const { file, settings, env, report, isCountry } = input;
  const folder = dirname(file);
  const below = settings.files === 'anywhere' ? undefined : folder;
  const node = readYaml(file, env, report, {
    below: settings.zoneFolders.includes(folder) ? below : undefined,
    withheld: settings.secretVariables,
  });
  if (!node) return undefined;
  const zoneNode = valueOf(node, 'zone');
  // Names are relative to the apex, so it is read first. `map` below reports its mistakes.
  const apex = zoneNode && apexName(zoneNode, 'zone', quiet());
  const read = zoneKeys(apex, isCountry, settings.checks)(node, 'the zone file', report);
  if (!read || !apex) return undefined;
  if (zoneNode.kind === 'scalar') {
    warnBeyondAscii(zoneNode, report);
    warnOfOtherName(file, apex, zoneNode, report);
  }

  const store = createRecordStore();
  const aliases: AliasModel[] = [];
  const target = { apex, store, file: addFile(store, file), defaultTtlSeconds: read.ttl, aliases, report };
  if (read.records) readRecords(read.records, target);
  const files = new Set([file]);
  for (const { path, place } of read.include) {
    for (const each of include(resolve(folder, path), path, place, below, target)) files.add(each);
  }
  const madeFrom = store.count;
  if (read.nameservers) addNameServers(read.nameservers, target);
  const autoSerial = addSoa(read.soa, read.nameservers?.[0]?.name, valueOf(node, 'soa') ?? zoneNode, target);

  const services = servicesOf(read, node, apex, input, files);
  reportBesideServices(services, store, report);
  reportBesideAliases(aliases, services, store, report);
  const signing = read.dnssec
    ? signingOf(read.dnssec, { apex, stateDir: settings.stateDir, folder, report })
    : undefined;
  // A new key file changes the folder.
  if (signing) for (const path of [signing.rule.keys, ...signing.keys.map((key) => key.file)]) files.add(path);
  const place = nodePlace(zoneNode);
  const summary = {
    file,
    apex,
    autoSerial,
    services,
    signing,
    place,
    aliases: aliases.length > 0 ? aliases : undefined,
  };
  const stated: StatedZone = {
    ...{ summary: { ...summary, regions: withoutChecks(read.regions), files: [...files] }, store, madeFrom },
    ...{ stateDir: settings.stateDir, hasNameServers: valueOf(node, 'nameservers') !== undefined },
    isUpdated: settings.updates?.some((rule) => ruleIsFor(rule, apex)) ?? false,
  };
  // Mistakes in records are reported once the answers of aliases are among them.
  return finish(stated, undefined, aliases.length > 0 ? quiet() : report, input.judgesUpdate === true);
}

/** A zone as its files state it. */
type StatedZone = {
  readonly summary: Omit<ReadZone, 'records' | 'again' | 'judge'>;
  readonly store: RecordStore;
  /** Rows from here on come from `nameservers` and `soa`. */
  readonly madeFrom: number;
  readonly stateDir: string;
  readonly hasNameServers: boolean;
  readonly isUpdated: boolean;
};

/** Adds the answers of aliases and the dynamic records, and checks the records. */
function finish(
  stated: StatedZone,
  answers: readonly AliasAnswer[] | undefined,
  report: Report,
  judgesUpdate: boolean,
): ReadZone {
  const { summary, stateDir, isUpdated } = stated;
  const { apex, place, aliases = [] } = summary;
  const store = answers ? withAliases(stated.store, aliases, answers) : stated.store;
  const journal = isUpdated ? readDynamic(apex, stateDir, place, report) : undefined;
  const finished = (records: DynamicRecords | undefined, to: Report): ReadZone => ({
    ...finishWith({ ...stated, store }, records, to),
    resolved: answers,
    again:
      isUpdated || aliases.length > 0 ? (again, reportAgain) => finish(stated, again, reportAgain, true) : undefined,
  });
  if (journal?.tail === undefined || judgesUpdate) return finished(journal, report);
  const { before } = journal.tail;
  const isValid = (records: DynamicRecords): boolean => {
    const trial = createReport();
    finished(records, trial);
    return !hasErrors(trial.diagnostics);
  };
  if (isValid(journal) || !isValid(before)) return finished(journal, report);
  // A crash came between the journal and the compile step, so nobody was told that the update is done.
  const message = `the last update of ${formatName(apex)} is not valid and was never answered: it is dropped`;
  report.warning('PH428', message, place, journalPath(stateDir, apex));
  return finished(before, report);
}

function finishWith(
  { summary, store, madeFrom, stateDir, hasNameServers, isUpdated }: StatedZone,
  journal: DynamicRecords | undefined,
  report: Report,
): ReadZone {
  const { apex, services, place, autoSerial, signing, aliases = [] } = summary;
  const merging = { apex, stateDir, services: [...services, ...aliases], madeFrom, place, autoSerial, report };
  const dynamic = journal ? mergeDynamic(store, journal, merging) : { store, madeFrom, sets: [] };
  const zone = validateZone({
    ...{ apex, place, report: hasNameServers ? withoutLack(report) : report },
    store: dynamic.store,
    serviceOwners: services,
    aliasOwners: aliases,
    isSigned: signing !== undefined,
  });
  return {
    ...summary,
    records: dynamic.store,
    ...{ dynamic: isUpdated ? dynamic.sets : undefined, updatedSerial: journal?.serial, isUpdated },
    written: dynamic.store === store ? undefined : store,
    owners: zone.table,
    judge: (apexes) => {
      judgeNames({ zone, services, aliases, madeFrom: dynamic.madeFrom, apexes });
    },
  };
}

/** What services may refer to by name. A region or check of the zone replaces the shared one of the same name. */
function namesFor(
  node: YamlNode,
  own: { readonly regions: ReadonlyMap<string, WrittenRegion>; readonly checks: Settings['checks'] },
  settings: Settings,
  report: Report,
): Pick<ServiceContext, 'regions' | 'checks' | 'brokenRegions' | 'brokenChecks' | 'once'> {
  const checks = new Map([...settings.checks, ...own.checks]);
  const broken = (key: 'regions' | 'checks'): Set<string> =>
    new Set([...keysOf(valueOf(node, key)), ...(settings.misread?.[key] ?? [])]);
  const [brokenChecks, brokenRegions] = [broken('checks'), broken('regions')];
  const once = createReportOnce(report);
  const regions = withChecks(own.regions, findAmong(checks, brokenChecks, once), report);
  return { regions: new Map([...settings.regions, ...regions]), checks, brokenRegions, brokenChecks, once };
}

/**
 * Reads the services, with the regions, checks, maps and templates that they may name. Adds the files that they name to
 * `files`.
 */
function servicesOf(
  read: NonNullable<ReturnType<ReturnType<typeof zoneKeys>>>,
  node: YamlNode,
  apex: Name,
  { file, settings, report, isCountry, shared = NO_PARTS }: ReadZoneInput,
  files: Set<string>,
): ServiceModel[] {
  const folder = dirname(file);
  warnShadowed('region', read.regions, settings.regions, valueOf(node, 'regions'), report);
  warnShadowed('check', read.checks, settings.checks, valueOf(node, 'checks'), report);
  const named = namesFor(node, read, settings, report);
  const zone = formatName(canonical(apex));
  const ownMaps = read.maps ? readMaps(read.maps, { zone, ...named, isCountry, report }) : NO_SHARED;
  warnShadowed('map', ownMaps.parts, shared.maps.parts, read.maps, report);
  const context: ServiceContext = {
    apex,
    ...named,
    maps: withOwn(shared.maps, ownMaps, read.maps),
    defaultTtlSeconds: read.ttl,
    folder,
    below: settings.files === 'anywhere' ? undefined : folder,
    isCountry,
    report,
    addFile: (path) => files.add(path),
    hasBeacon: settings.beacon !== undefined,
    withoutFleet: settings.fleet ? undefined : new Set(),
  };
  const own = read.templates ? readTemplates(read.templates, context) : NO_SHARED;
  warnShadowed('template', own.parts, shared.templates.parts, read.templates, report);
  const templates = withOwn(shared.templates, own, read.templates);
  const ownerOf = (key: YamlScalar): Name | undefined => readOwner(key, apex, report);
  return read.services ? readServices(read.services, ownerOf, { ...context, templates }) : [];
}

/**
 * Warns of a file that is named like another zone: probably a copy in which `zone` was not changed. A file name that
 * contains the zone's name, or that is not an Internet name, is accepted.
 */
function warnOfOtherName(file: string, apex: Name, node: YamlScalar, report: Report): void {
  const named = basename(file)
    .replace(/\.ya?ml$/i, '')
    .toLowerCase();
  const zone = formatName(apex).toLowerCase();
  const labels = named.split('.');
  const isZoneName = labels.length > 1 && tldKind(labels.at(-1) ?? '', '') !== undefined;
  if (!isZoneName || named.includes(zone) || zone.endsWith(`.${named}`)) return;
  const message = `the zone is ${zone}, but its file is named like ${named}`;
  report.warning('PH129', message, nodePlace(node), 'change one of the two');
}

/** A report that is discarded. */
function quiet(): Report {
  return { diagnostics: [], error: () => undefined, warning: () => undefined };
}

/** A report for zones with mistakes in `nameservers`: it leaves out that there are none (PH358). */
function withoutLack(report: Report): Report {
  return {
    ...report,
    error: (code, ...rest) => {
      if (code !== 'PH358') report.error(code, ...rest);
    },
  };
}

/** Skips a field that cannot be read without an apex. */
function skip<T>(): Read<T> {
  return () => undefined;
}

const includePath: Read<{ path: string; place: Place }> = like(
  text(),
  (node: YamlNode, name: string, report: Report) => {
    const path = text()(node, name, report);
    return path === undefined ? undefined : { path, place: nodePlace(node) };
  },
);

/** Reads included files. Returns the absolute paths of the files that were read. */
function include(
  path: string,
  written: string,
  place: Place,
  below: string | undefined,
  target: RecordsTarget,
): readonly string[] {
  const { apex, defaultTtlSeconds, store, report } = target;
  if (below !== undefined && isOutside(path, below)) {
    reportOutside(written, place, below, report);
    return [];
  }
  const at = lookAt(path);
  if (at.kind === 'file') return readMasterFile({ path, origin: apex, defaultTtlSeconds, store, report, below }).files;
  const what =
    at.kind === 'absent'
      ? `there is no file ${written}`
      : `${written} is not a file${at.kind === 'refused' ? ` that can be read (${at.code})` : ''}`;
  report.error('PH038', what, place, `looked for ${path}`);
  return [];
}

/**
 * Adds the SOA from `soa` and the first name server, or from defaults if no file states an SOA. Returns whether Pharos
 * assigns its serial.
 */
function addSoa(
  fields: SoaFields | undefined,
  nameServer: Name | undefined,
  node: YamlNode,
  target: RecordsTarget,
): boolean {
  const { apex, store, file, defaultTtlSeconds } = target;
  // An SOA from `records` or an included file is kept. Validation reports a second one from `soa`.
  if (!fields && findAtApex(store, apex, TYPE.SOA)) return false;
  // Without name servers the value does not matter: the zone is refused because they are missing.
  const mname = nameServer ?? findAtApex(store, apex, TYPE.NS) ?? apex;
  const soaFields: SoaFields = fields ?? {
    contact: undefined,
    serial: 'auto',
    refreshSeconds: 2 * 3600,
    retrySeconds: 30 * 60,
    expireSeconds: 14 * 86_400,
    negativeTtlSeconds: 60,
  };
  const rname = soaFields.contact ?? hostmaster(apex);
  const rdata = soaRdata(soaFields, mname, rname);
  addRecord(store, apex, TYPE.SOA, defaultTtlSeconds, rdata, file, nodePlace(node).line);
  return soaFields.serial === 'auto';
}

/** `hostmaster` below the apex; the apex if that name would be too long. */
function hostmaster(apex: Name): Name {
  const label = parseName('hostmaster.').subarray(0, -1);
  return label.length + apex.length > MAX_NAME_OCTETS ? apex : Uint8Array.from(Buffer.concat([label, apex]));
}

function warnShadowed(
  what: 'region' | 'check' | 'map' | 'template',
  own: ReadonlyMap<string, unknown>,
  shared: ReadonlyMap<string, unknown>,
  node: YamlNode | undefined,
  report: Report,
): void {
  for (const { key } of node?.kind === 'map' ? node.entries : []) {
    if (!own.has(key.text) || !shared.has(key.text)) continue;
    const message = `the ${what} ${key.text} is in pharos.yaml too; this zone uses its own`;
    report.warning('PH116', message, nodePlace(key), 'give it another name, or remove one of the two');
  }
}

/**
 * Reports records at a service that it cannot have: any beside a CNAME (RFC 1034 3.6.2), which validation does not see,
 * HTTPS or SVCB beside those that the service makes, and types that its VIPs have.
 */
function reportBesideServices(services: readonly ServiceModel[], store: RecordStore, report: Report): void {
  const byOwner = new Map(
    services
      .filter((service) => answersWithCname(service) || makesSvcb(service) || otherTypes(service).length > 0)
      .map((service) => [nameKey(service.owner), service]),
  );
  if (byOwner.size === 0) return;
  const lengths = new Set([...byOwner.values()].map(({ owner }) => owner.length));
  for (let row = 0; row < store.count; row++) {
    if (!lengths.has(ownerOctets(store, row))) continue;
    const key = nameKey(ownerOf(store, row));
    const service = byOwner.get(key);
    if (!service) continue;
    const isCname = answersWithCname(service);
    const type = recordType(store, row);
    const vip = service.vips.find((each) => otherTypesOfVip(each).includes(type));
    const isMade = (type === TYPE.HTTPS || type === TYPE.SVCB) && makesSvcb(service);
    if (!isCname && !isMade && !vip) continue;
    byOwner.delete(key);
    const where = whereWritten(store, row);
    if (isCname) {
      const message = `the service ${service.name} answers with a CNAME, and there are records beside it`;
      report.error('PH223', message, service.place, `remove the records (${where}), or steer addresses`);
    } else if (vip) {
      const message = `VIP ${vip.name} has ${typeText(type)} records, and there are static ${typeText(type)} records of ${service.name} (${where})`;
      report.error('PH249', message, vip.place, 'keep one of the two');
    } else {
      const message = `the service ${service.name} has svcb, and there are static HTTPS or SVCB records at its name`;
      report.error('PH239', message, service.place, `remove the records (${where}), or svcb`);
    }
  }
}

function makesSvcb({ vips }: ServiceModel): boolean {
  return vips.some((vip) => hasData(vip, 'svcb'));
}
