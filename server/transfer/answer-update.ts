/**
 * What the control thread needs to answer dynamic updates: the request, the records of the image, and the response.
 */
import type { TransferSettings } from '../../config/settings.ts';
import { HEADER_OCTETS, UDP_OCTETS } from '../../wire/limits.ts';
import { nameKey, type Name } from '../../wire/name.ts';
import { get16, put16 } from '../../wire/octets.ts';
import { createSigner, tsigOctets, type TsigKey } from '../../wire/tsig.ts';
import { OPTION, TYPE } from '../../wire/types.ts';
import { messageRecords, readUpdate, type UpdateMessage } from '../../wire/update.ts';
import { decodeRrset } from '../../zones/image/decode-rrset.ts';
import { firstRrsetOf, HEAD, headWord, type Image, NODE, nodeWord, RRSET, rrsetWord } from '../../zones/image/image.ts';
import { isPair } from '../../zones/image/signed-rows.ts';
import type { SetsOfName, UpdateRefusal } from '../../zones/journal/process-update.ts';
import type { HeldSet } from '../../zones/journal/record-set.ts';
import type { Deferred } from '../contract.ts';
import { putOpt, readPeerRequest, responseHead, type PeerRequest } from './peer-request.ts';
import { isSteeredNode, nodesOf, rrsetMessages, zoneOfApex, type ServedZone } from './zone-messages.ts';

export type UpdateRequest = {
  readonly peer: PeerRequest;
  readonly key: TsigKey;
  /** Undefined: the message is malformed. */
  readonly update: UpdateMessage | undefined;
};

/** Reads an update; undefined if its signature is not valid. */
export function readUpdateRequest(
  { message }: Deferred,
  { keys }: TransferSettings,
  nowSeconds: number,
): UpdateRequest | undefined {
  const peer = readPeerRequest(message, 0, message.length, keys, nowSeconds);
  const { verdict, signature } = peer;
  if (verdict?.kind !== 'valid' || !signature) return undefined;
  return { peer, key: verdict.key, update: readUpdate(message) };
}

/** The signed response. It has no zone section if the request's could not be read. */
export function updateResponse(
  { peer, key }: UpdateRequest,
  { rcode, info }: UpdateRefusal,
  now: () => number,
): Uint8Array {
  const head = responseHead(peer, rcode, false);
  const text = Buffer.from(info?.text ?? '');
  const message = new Uint8Array(head.length + 32 + text.length + tsigOctets(key));
  message.set(head);
  let length = putOpt(peer, message, head.length, UDP_OCTETS);
  if (info && length > head.length) {
    // RFC 8914 2.
    put16(message, length - 2, 6 + text.length);
    put16(message, length, OPTION.ERROR);
    put16(message, length + 2, 2 + text.length);
    put16(message, length + 4, info.code);
    message.set(text, length + 6);
    length += 6 + text.length;
  }
  return message.slice(0, createSigner(key, now, peer.signature?.mac).sign(message, length));
}

/** A zone of the image, for updates. */
export type ZoneRecords = {
  readonly served: ServedZone;
  readonly serial: number;
  /** The sets of a canonical name; undefined without records. */
  readonly setsOf: (name: Name) => SetsOfName | undefined;
  readonly isSteered: (name: Name) => boolean;
};

/** The records of the zone with this canonical apex; undefined if it is not served. */
export function zoneRecords(image: Image, apex: Name): ZoneRecords | undefined {
  const served = zoneOfApex(image, apex);
  if (!served) return undefined;
  return {
    served,
    serial: headWord(image.words, served.head, HEAD.SERIAL),
    setsOf: (name) => {
      const sets = new Map<number, HeldSet>();
      for (const node of nodesOf(image, served, name)) {
        const first = firstRrsetOf(node);
        const end = first + nodeWord(image.words, node, NODE.RRSET_COUNT);
        for (let rrset = first; rrset < end; rrset++) {
          const type = rrsetWord(image.words, rrset, RRSET.TYPE);
          if (isPair(type)) continue;
          sets.set(type, decodeRrset(image, apex, rrset));
        }
      }
      return sets.size === 0 ? undefined : sets;
    },
    isSteered: (name) => nodesOf(image, served, name).some((node) => isSteeredNode(image, node)),
  };
}

/** Records of a name and type; of a set with very many records it may be a part. */
export type ListedRecords = HeldSet & { readonly name: Name; readonly type: number };

/**
 * Lists the records of the zone with this canonical apex: from memory that does not change, so that a list may take
 * long. Without steered records, signatures and proofs.
 */
export function* listRecords(image: Image, apex: Name): Generator<ListedRecords> {
  const served = zoneOfApex(image, apex);
  if (!served) return;
  const head = new Uint8Array(HEADER_OCTETS + apex.length + 4);
  head.set(apex, HEADER_OCTETS);
  for (const octets of rrsetMessages(image, served, head)) {
    const records = messageRecords(octets, { at: head.length }, get16(octets, 6)) ?? [];
    const [first] = records;
    if (!first || first.type === TYPE.RRSIG || first.type === TYPE.NSEC) continue;
    const { name, type, ttlSeconds } = first;
    yield { name, type, ttlSeconds, data: records.map(({ data }) => data) };
  }
}

/** The labels of a name below its zone, in lower case. */
export function labelsBelow(name: Name, apex: Name): readonly string[] {
  const labels: string[] = [];
  for (let at = 0; at < name.length - apex.length;) {
    const octets = name[at] ?? 0;
    labels.push(nameKey(name.subarray(at + 1, at + 1 + octets)));
    at += octets + 1;
  }
  return labels;
}
