/**
 * Explain: how the answer to a query with DO is signed.
 */
import type { TraceSigning } from '../../steering/trace.ts';
import type { MessageText } from '../../wire/message.ts';
import type { Image } from '../../zones/image/image.ts';
import { isCompact, isSigned } from '../../zones/image/signed-rows.ts';

/** `plain` is the answer without DO, `signed` the one with DO. Undefined if the zone is not signed. */
export function describeSigning(
  image: Image,
  zone: number,
  plain: MessageText,
  signed: MessageText,
): TraceSigning | undefined {
  if (!isSigned(image, zone)) return undefined;
  const signatures = [...signed.answer, ...signed.authority].flatMap(({ type, data }) =>
    type === 'RRSIG' ? readSignature(data) : [],
  );
  const ends = signatures.map(({ until }) => until).sort();
  return {
    keyTags: [...new Set(signatures.map(({ tag }) => tag))].sort((a, b) => a - b),
    validUntil: ends[0],
    how: wordsFor(image, zone, plain, signed),
  };
}

function wordsFor(image: Image, zone: number, plain: MessageText, signed: MessageText): string {
  const records = signed.answer.filter(({ type }) => type !== 'RRSIG').length;
  if (plain.answer.length > records) {
    return `${records} of ${plain.answer.length} records: this set of VIPs is signed when it is first asked for with DO`;
  }
  if (isCompact(image, zone) && plain.answer.length === 0)
    return 'compact denial: an NSEC for the name alone (RFC 9824)';
  return plain.answer.length === 0 ? 'NSEC records that were signed beforehand' : 'signed beforehand';
}

/** RFC 4034 3.2: type covered, algorithm, labels, TTL, end, begin, tag, ... */
function readSignature(data: string): { readonly until: string; readonly tag: number } | [] {
  const [, , , , end = '', , tag = ''] = data.split(' ');
  const parts = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)$/.exec(end);
  if (!parts) return [];
  const [, year, month, day, hour, minute, second] = parts;
  return { until: `${year}-${month}-${day}T${hour}:${minute}:${second}.000Z`, tag: Number(tag) };
}
