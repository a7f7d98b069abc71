/**
 * The formats that `pharos import` reads.
 */
import type { Report } from '../../config/diagnostics.ts';
import { formatName, nameKey, parseName, type Name } from '../../wire/name.ts';
import { TYPE } from '../../wire/types.ts';
import { addDraftRecord, note, OUT_OF_ZONE, relativeName, type ZoneDraft } from './draft.ts';
import { fromBind } from './from-bind.ts';
import { fromGdnsd } from './from-gdnsd.ts';
import { fromOctodns } from './from-octodns.ts';
import { fromRoute53 } from './from-route53.ts';

export const FORMATS = ['bind', 'route53', 'gdnsd', 'octodns'] as const;
export type Format = (typeof FORMATS)[number];

/** `zone`: the apex, if the file does not state it or has several zones. `nameServers` replace those of the file. */
export type ImportRequest = {
  readonly format: Format;
  readonly path: string;
  readonly zone: Name | undefined;
  readonly nameServers: readonly Name[];
};

/** For a zone whose source states neither name servers nor a TTL for them. */
const NAME_SERVER_TTL_SECONDS = 3600;

/** Returns the zones of a file, or none if it reported a mistake. */
export function importZones({ format, path, zone, nameServers }: ImportRequest, report: Report): readonly ZoneDraft[] {
  const drafts = read(format, path, zone, report);
  for (const draft of drafts) refuseOther(draft, path, report);
  if (report.diagnostics.some(({ severity }) => severity === 'error')) return [];
  for (const draft of drafts) settleNameServers(draft, nameServers);
  return drafts;
}

function read(format: Format, path: string, zone: Name | undefined, report: Report): readonly ZoneDraft[] {
  switch (format) {
    case 'gdnsd':
      return fromGdnsd(path, zone, report);
    case 'bind':
      return listOf(fromBind(path, zone, report));
    case 'route53':
      return listOf(fromRoute53(path, zone, report));
    case 'octodns':
      return listOf(fromOctodns(path, zone, report));
  }
}

function listOf(draft: ZoneDraft | undefined): readonly ZoneDraft[] {
  return draft ? [draft] : [];
}

/** If no record of a file is in the zone, the file belongs to another zone: `--zone` is wrong. */
function refuseOther({ apex, owners, services, notes }: ZoneDraft, path: string, report: Report): void {
  if (owners.size > 0 || services.size > 0 || !notes.some(({ message }) => message.includes(OUT_OF_ZONE))) return;
  const place = { file: path };
  report.error(
    'PH502',
    `nothing in the file is in the zone ${formatName(apex)}`,
    place,
    'state the right zone: --zone NAME',
  );
}

/**
 * A zone needs name servers (RFC 1035 5.2, RFC 2181 6.1): those of `--nameserver`, those of the source, or a
 * placeholder.
 */
function settleNameServers(draft: ZoneDraft, asked: readonly Name[]): void {
  const { apex } = draft;
  const known = draft.owners.get(nameKey(apex))?.rrsets;
  const source = known?.get(TYPE.NS);
  if (source && asked.length === 0) return;
  const ttlSeconds = source?.ttlSeconds ?? known?.get(TYPE.SOA)?.ttlSeconds ?? NAME_SERVER_TTL_SECONDS;
  known?.delete(TYPE.NS);
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
