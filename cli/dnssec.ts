/**
 * `pharos dnssec status|ds|import ZONE`: the keys of a zone (docs/dnssec.md).
 */
import { plainText } from '../config/plain-text.ts';
import { messageOf } from '../config/unknown-values.ts';
import { dsData } from '../dnssec/dnskey.ts';
import { importPair, importPem, type KeyTimes, type ZoneKey } from '../dnssec/key-files.ts';
import { activeKeys, isPublished, rolesOf } from '../dnssec/key-times.ts';
import { KEY_TTL_SECONDS } from '../dnssec/zone-signer.ts';
import { isStatusDocument } from '../status/status-document.ts';
import { formatName } from '../wire/name.ts';
import { formatRdata } from '../wire/rdata.ts';
import { TYPE } from '../wire/types.ts';
import { callApi, shownUrl } from './api-client.ts';
import { reach } from './find-server.ts';
import { EXIT, fail, type Output } from './output.ts';
import { findZone, utcTime, nowSeconds, type DnssecOptions, type SignedZone } from './signed-zone.ts';

type KeyState = 'future' | 'published' | 'active' | 'retired' | 'removed';

/** What happens at each time of a key. */
const EVENTS: readonly (readonly [keyof KeyTimes, string])[] = [
  ['publish', 'its DNSKEY enters the zone'],
  ['activate', 'it begins to sign'],
  ['syncPublish', 'CDS names it'],
  ['syncDelete', 'CDS does not name it any more'],
  ['inactive', 'it ends to sign'],
  ['delete', 'its DNSKEY leaves the zone'],
];

/** `api`: the server to ask in a fleet; undefined: that of the configuration. */
export type StatusOptions = DnssecOptions & { readonly api?: string | undefined; readonly token?: string | undefined };

export async function dnssecStatus(options: StatusOptions, output: Output): Promise<number> {
  const zone = findZone(options, output);
  if (!zone) return EXIT.FAILED;
  const cds = zone.hasFleet && zone.rule.cds !== 'none' ? await askForCds(zone, options) : undefined;
  const now = nowSeconds();
  const keys = zone.keys.map((key) => keyDocument(key, now));
  if (options.json) {
    output.out(JSON.stringify({ zone: formatName(zone.apex), keys, cds: cds ?? null }, undefined, 2));
    return EXIT.OK;
  }
  if (keys.length === 0) {
    output.out(`${formatName(zone.apex)} has no key yet: the server makes one in ${zone.rule.keys} when it starts.`);
    return EXIT.OK;
  }
  keys.forEach(({ tag, algorithm, entry_point: isEntryPoint, state, file }, index) => {
    const kind = isEntryPoint ? 'for the DS at the parent' : 'zone signing key';
    output.out(`key ${tag}  algorithm ${algorithm}  ${state}  (${kind})  ${file}`);
    for (const [name, what] of EVENTS) {
      const at = zone.keys[index]?.times[name];
      if (at !== undefined && at > now) output.out(`  ${utcTime(at)}: ${what}`);
    }
  });
  if (cds) output.out(`CDS ${cds.state}${cds.why === null ? '' : `: ${cds.why}`}`);
  return EXIT.OK;
}

type CdsState = { readonly state: 'published' | 'withheld' | 'unknown'; readonly why: string | null };

/** Asks the server of this node: in a fleet, CDS depends on the other nodes, and not on files alone. */
async function askForCds({ apex }: SignedZone, { config, api, token }: StatusOptions): Promise<CdsState> {
  const unknown = (why: string): CdsState => ({ state: 'unknown', why });
  const found = reach({ ...{ api, token, config }, cwd: process.cwd(), env: process.env });
  if (!found.ok) return unknown(found.message);
  const reply = await callApi(found.api, 'GET', '/api/v1/status');
  if (!reply.ok) return unknown(reply.message);
  if (!isStatusDocument(reply.value)) return unknown(`${shownUrl(found.api)} is another version of Pharos`);
  const zone = reply.value.zones.find(({ name }) => name === formatName(apex).toLowerCase());
  if (!zone?.dnssec) return unknown('the server does not sign the zone yet');
  const { cds, cds_withheld: why } = zone.dnssec;
  return cds === 'none' ? unknown('the server has another configuration') : { state: cds, why };
}

/** A key as in the JSON of all commands. */
export type KeyDocument = {
  readonly tag: number;
  readonly algorithm: number;
  readonly entry_point: boolean;
  readonly state: KeyState;
  readonly file: string;
} & TimesDocument;
type TimesDocument = Readonly<
  Record<'publish' | 'activate' | 'inactive' | 'delete' | 'sync_publish' | 'sync_delete', string | null>
>;

/** `changed`: times that its file has had since the key was read. */
export function keyDocument(read: ZoneKey, now: number, changed: Partial<KeyTimes> = {}): KeyDocument {
  const key = { ...read, times: { ...read.times, ...changed } };
  return {
    tag: key.tag,
    algorithm: key.algorithm.number,
    entry_point: key.isEntryPoint,
    state: stateOf(key, now),
    file: key.file,
    ...timesOf(key),
  };
}

function timesOf({ times }: ZoneKey): TimesDocument {
  const time = (at: number | undefined): string | null => (at === undefined ? null : utcTime(at));
  return {
    publish: time(times.publish),
    activate: time(times.activate),
    inactive: time(times.inactive),
    delete: time(times.delete),
    sync_publish: time(times.syncPublish),
    sync_delete: time(times.syncDelete),
  };
}

function stateOf(key: ZoneKey, now: number): KeyState {
  if (activeKeys([key], now).length > 0) return 'active';
  if (now >= (key.times.delete ?? Infinity)) return 'removed';
  if (!isPublished(key, now)) return 'future';
  return now >= (key.times.inactive ?? Infinity) ? 'retired' : 'published';
}

/** Prints the DS records for the parent. */
export function dnssecDs(options: DnssecOptions, output: Output): number {
  const zone = findZone(options, output);
  if (!zone) return EXIT.FAILED;
  const keys = rolesOf(zone.keys, nowSeconds()).forParent;
  if (keys.length === 0) {
    return fail('dnssec ds', `${options.zone} has no key yet: start the server once`, EXIT.FAILED, output);
  }
  if (options.json) {
    const ds = keys.map((key) => dsText(zone, key));
    output.out(JSON.stringify({ zone: formatName(zone.apex), ds }, undefined, 2));
  } else for (const key of keys) output.out(dsLine(zone, key));
  return EXIT.OK;
}

/** The data of the DS record of a key in presentation format. */
export function dsText({ apex }: SignedZone, { dnskey }: ZoneKey): string {
  return formatRdata(TYPE.DS, dsData(apex, dnskey));
}

/** The DS record of a key in presentation format. */
export function dsLine(zone: SignedZone, key: ZoneKey): string {
  return `${formatName(zone.apex)}. ${KEY_TTL_SECONDS} IN DS ${dsText(zone, key)}`;
}

export type KeyImportOptions = DnssecOptions & {
  readonly files: readonly string[];
  /** For keys in PEM form: they sign the zone and not the keys. */
  readonly zsk: boolean;
};

/** Imports the keys of another signer, so that a signed zone can move to Pharos and remains secure meanwhile. */
export function dnssecImport({ files, zsk, ...options }: KeyImportOptions, output: Output): number {
  const zone = findZone(options, output);
  if (!zone) return EXIT.FAILED;
  const { apex, rule } = zone;
  const imported: object[] = [];
  let code: number = EXIT.OK;
  for (const from of files) {
    try {
      const key = from.endsWith('.pem')
        ? importPem(rule.keys, apex, from, { isEntryPoint: !zsk, nowSeconds: nowSeconds() })
        : importPair(rule.keys, apex, from);
      imported.push({ from, ...keyDocument(key, nowSeconds()) });
      if (!options.json) output.out(`Imported key ${key.tag} (algorithm ${key.algorithm.number}) as ${key.file}`);
    } catch (error) {
      code = fail('dnssec import', `${from}: ${plainText(messageOf(error))}`, EXIT.FAILED, output);
      break;
    }
  }
  if (options.json) output.out(JSON.stringify({ zone: formatName(apex), imported }, undefined, 2));
  return code;
}
