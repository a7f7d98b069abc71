/**
 * The messages of an incremental transfer (RFC 1995 4): the new SOA, the old SOA and what is removed, the new SOA and
 * what is added, the new SOA.
 */
import { put16 } from '../../wire/octets.ts';
import type { ZoneDifference } from '../../zones/journal/zone-difference.ts';
import type { MessageFrame } from './zone-messages.ts';

/** Position of the question's name. */
const QUESTION_AT = 12;

/** Yields the messages. Throws RangeError if a record does not fit into a message. */
export function* differenceMessages(
  { soaBefore, soaAfter, removed, added }: ZoneDifference,
  frame: MessageFrame,
  apexOctets: number,
): Generator<Uint8Array, undefined> {
  // `seal` adds octets after the limit.
  const buffer = new Uint8Array(2 * 65_536);
  let length = frame.head.length;
  let records = 0;
  buffer.set(frame.head);
  const finish = (): Uint8Array => {
    put16(buffer, 6, records);
    const message = buffer.slice(0, frame.seal(buffer, length));
    buffer.set(frame.head);
    length = frame.head.length;
    records = 0;
    return message;
  };
  for (const record of [soaAfter, soaBefore, ...removed, soaAfter, ...added, soaAfter]) {
    const labels = labelsBefore(record, apexOctets);
    const shortened = apexOctets === 1 ? record.length : record.length - apexOctets + 2;
    if (length + shortened > frame.limit) {
      if (records > 0) yield finish();
      if (length + shortened > frame.limit) throw new RangeError('a record is larger than a message');
    }
    if (apexOctets === 1) buffer.set(record, length);
    else {
      // The apex is the question's name.
      buffer.set(record.subarray(0, labels), length);
      put16(buffer, length + labels, 0xc000 | QUESTION_AT);
      buffer.set(record.subarray(labels + apexOctets), length + labels + 2);
    }
    length += shortened;
    records++;
  }
  yield finish();
}

/** The octets of the owner before the apex. */
function labelsBefore(record: Uint8Array, apexOctets: number): number {
  let end = 0;
  while ((record[end] ?? 0) !== 0) end += (record[end] ?? 0) + 1;
  return end + 1 - apexOctets;
}
