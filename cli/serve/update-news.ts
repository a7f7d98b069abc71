/**
 * Reports dynamic updates to the log and to the events of the API: which key, from which address, and which names.
 */
import type { Logger } from 'pino';
import type { EventLog, UpdateDetails } from '../../status/events.ts';
import { createLineLimit } from '../../status/line-limit.ts';
import { formatAddress } from '../../wire/address.ts';
import { formatName, nameKey, type Name } from '../../wire/name.ts';
import { RCODE, typeText } from '../../wire/types.ts';
import type { UpdateRefusal } from '../../zones/journal/process-update.ts';

/** The records of a name and type after a change; for a refused update only which ones it concerns. */
export type ToldSet = { readonly name: Name; readonly type: number; readonly data: readonly Uint8Array[] };
type NamedSet = Omit<ToldSet, 'data'> & { readonly data?: ToldSet['data'] };

/** The name of a TSIG key, or of a token of the API, and the address of the client. */
export type Sender = { readonly peer: Uint8Array } & (
  { readonly key: string; readonly token?: undefined } | { readonly token: string; readonly key?: undefined }
);

/** An update that was signed by one of the keys, or came over HTTP with one of the tokens. */
export type ToldUpdate = Sender & {
  readonly zone: Name;
  readonly sets: readonly ToldSet[];
};

export type UpdateNews = {
  readonly done: (update: ToldUpdate) => void;
  /**
   * Reports a refusal unless it is an outcome that RFC 2136 programs expect, such as a prerequisite that is not met.
   */
  readonly refused: (
    update: Sender & {
      readonly zone: Name;
      readonly records: readonly { readonly name: Name; readonly type: number }[];
    },
    refusal: UpdateRefusal,
  ) => void;
  /** Reports a set that the files of the zone have replaced. */
  readonly dropped: (zone: Name, set: ToldSet) => void;
};

/** Of an event. An update may have thousands. */
const MOST_SETS = 50;
/** Of its text. */
const MOST_NAMED = 5;
/** A client with a key can repeat a refused update at will. */
const REFUSALS_PER_MINUTE = 10;

export function createUpdateNews(events: Pick<EventLog, 'add'>, log: Pick<Logger, 'info' | 'warn'>): UpdateNews {
  const mayTell = createLineLimit(REFUSALS_PER_MINUTE);
  return {
    done(told) {
      const update = changeOf(told);
      const who = told.key ?? told.token;
      const message = `update of ${update.zone} by ${byWhom(told)}: ${words(update)}`;
      log.info({ kind: 'update', who }, message);
      events.add({ kind: 'update', message, to: 'done', who, update });
    },
    refused({ records, ...told }, { rcode, info }) {
      const to = rcode === RCODE.SERVFAIL ? 'failed' : 'refused';
      if (rcode !== RCODE.SERVFAIL && rcode !== RCODE.REFUSED) return;
      const fields = mayTell();
      if (!fields) return;
      const update = changeOf({ ...told, sets: records.map(({ name, type }) => ({ name, type })) });
      const reason = info?.text ?? null;
      const why = reason === null ? '' : `: ${reason}`;
      const who = told.key ?? told.token;
      const message = `update of ${update.zone} by ${byWhom(told)} ${to}${why} (${words(update)})`;
      log.warn({ kind: 'update', who, ...fields }, message);
      events.add({ kind: 'update', message, to, reason, who, update });
    },
    dropped(zone, set) {
      const update = changeOf({ zone, sets: [set] });
      const message = `${update.zone}: the dynamic ${typeText(set.type)} records of ${formatName(set.name)} are dropped, because the files have others`;
      log.warn(message);
      events.add({ kind: 'update', message, to: 'dropped', update });
    },
  };
}

function byWhom({ key, token, peer }: Sender): string {
  return `the ${key === undefined ? `token ${token}` : `key ${key}`} from ${formatAddress(peer)}`;
}

type Told = Partial<Pick<Sender, 'key' | 'peer'>> & { readonly zone: Name; readonly sets: readonly NamedSet[] };

function changeOf({ zone, key, peer, sets: all }: Told): UpdateDetails {
  const sets = [...new Map(all.map((set) => [`${nameKey(set.name)}/${set.type}`, set])).values()];
  return {
    zone: formatName(zone),
    key: key ?? null,
    peer: peer === undefined ? null : formatAddress(peer),
    sets: sets.slice(0, MOST_SETS).map(({ name, type, data }) => ({
      name: formatName(name),
      type: typeText(type),
      records: data === undefined ? null : data.length,
    })),
    more: Math.max(0, sets.length - MOST_SETS),
  };
}

/** `www.example.com A (2 records), b.example.com TXT (deleted) and 3 more` */
function words({ sets, more }: UpdateDetails): string {
  if (sets.length === 0) return 'no records';
  const named = sets.slice(0, MOST_NAMED).map(({ name, type, records }) => {
    const left =
      records === null ? '' : records === 0 ? ' (deleted)' : records === 1 ? ' (1 record)' : ` (${records} records)`;
    return `${name} ${type}${left}`;
  });
  const others = sets.length - named.length + more;
  return `${named.join(', ')}${others === 0 ? '' : ` and ${others} more`}`;
}
