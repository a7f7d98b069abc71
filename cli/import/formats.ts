/**
 * The formats that `pharos import` reads.
 */
import type { Report } from '../../config/diagnostics.ts';
import { formatName, nameKey, parseName, type Name } from '../../wire/name.ts';
import { TYPE } from '../../wire/types.ts';
import { addDraftRecord, note, OUT_OF_ZONE, packOwners, relativeName, rrsetOf, type ZoneDraft } from './draft.ts';
import type { Format } from './format-names.ts';
import { fromBind } from './from-bind.ts';
import { fromCloudflare } from './from-cloudflare.ts';
import { fromCorednsGslb } from './from-coredns-gslb.ts';
import { fromGdnsd } from './from-gdnsd.ts';
import { fromGeodns } from './from-geodns.ts';
import { fromK8gb } from './from-k8gb.ts';
import { fromNs1 } from './from-ns1.ts';
import { fromOctodns } from './from-octodns.ts';
import { fromPowerdns } from './from-powerdns.ts';
import { fromRoute53 } from './from-route53.ts';

/** `zone`: the apex, if the file does not state it or has several zones. `nameServers` replace those of the file. */
export type ImportRequest = {
  readonly format: Format;
  readonly path: string;
  readonly zone: Name | undefined;
  readonly nameServers: readonly Name[];
};

/** For a zone whose source states neither name servers nor a TTL for them. */
const NAME_SERVER_TTL_SECONDS = 3600;

/** Returns the zones of a file. One with a mistake, which goes to `report`, is left out. */
export function importZones({ format, path, zone, nameServers }: ImportRequest, report: Report): readonly ZoneDraft[] {
  const drafts: ZoneDraft[] = [];
  for (const draft of read(format, path, zone, report, nameServers.length > 0)) {
    if (isOther(draft, path, report)) continue;
    settleNameServers(draft, nameServers);
    const last = drafts.at(-1);
    if (last) packOwners(last);
    drafts.push(draft);
  }
  return drafts;
}

function read(
  format: Format,
  path: string,
  zone: Name | undefined,
  report: Report,
  replacesNameServers: boolean,
): Iterable<ZoneDraft> {
  switch (format) {
    case 'gdnsd':
      return fromGdnsd(path, zone, report);
    case 'bind':
      return listOf(fromBind(path, zone, report));
    case 'route53':
      return listOf(fromRoute53(path, zone, report, replacesNameServers));
    case 'octodns':
      return fromOctodns(path, zone, report);
    case 'ns1':
      return listOf(fromNs1(path, zone, report));
    case 'cloudflare':
      return fromCloudflare(path, zone, report);
    case 'k8gb':
      return listOf(fromK8gb(path, zone, report));
    case 'geodns':
      return fromGeodns(path, zone, report);
    case 'coredns-gslb':
      return fromCorednsGslb(path, zone, report);
    case 'powerdns':
      return listOf(fromPowerdns(path, zone, report));
  }
}

function listOf(draft: ZoneDraft | undefined): readonly ZoneDraft[] {
  return draft ? [draft] : [];
}

/** Whether no record of a file is in the zone: then the file belongs to another zone, and `--zone` is wrong. */
function isOther({ apex, owners, services, notes }: ZoneDraft, path: string, report: Report): boolean {
  if (owners.size > 0 || services.size > 0) return false;
  if (!notes.some(({ message }) => message.includes(OUT_OF_ZONE))) return false;
  const message = `nothing in the file is in the zone ${formatName(apex)}`;
  report.error('PH502', message, { file: path }, 'state the right zone: --zone NAME');
  return true;
}

/**
 * A zone needs name servers (RFC 1035 5.2, RFC 2181 6.1): those of `--nameserver`, those of the source, or a
 * placeholder.
 */
function settleNameServers(draft: ZoneDraft, asked: readonly Name[]): void {
  const { apex } = draft;
  const known = draft.owners.get(nameKey(apex));
  const source = known && rrsetOf(known, TYPE.NS);
  if (source && asked.length === 0) return;
  const ttlSeconds = source?.ttlSeconds ?? (known && rrsetOf(known, TYPE.SOA))?.ttlSeconds ?? NAME_SERVER_TTL_SECONDS;
  if (source) known.rrsets.splice(known.rrsets.indexOf(source), 1);
  if (asked.length > 0) {
    if (source) {
      const before = source.rdata.map((name) => relativeName(name, apex)).join(', ');
      note(draft, 'dropped', undefined, `the name servers ${before}: replaced by those of the command line`);
    }
    for (const name of asked) addDraftRecord(draft, apex, TYPE.NS, ttlSeconds, name);
    return;
  }
  note(
    draft,
    'changed',
    undefined,
    'the source has no name servers: ns1 is a placeholder; replace it by yours, with their addresses',
  );
  addDraftRecord(draft, apex, TYPE.NS, ttlSeconds, parseName('ns1', apex));
}
