/**
 * An SOA's data as the `soa` of a zone file.
 */
import type { Name } from '../../wire/name.ts';
import { nameAt } from '../../wire/rdata.ts';
import type { DraftValue } from './draft.ts';
import { relativeTarget } from './draft.ts';

/** Undefined if the octets are not SOA data (RFC 1035 3.3.13). */
export function soaFields(rdata: Uint8Array | undefined, apex: Name): { mname: Name; plain: DraftValue } | undefined {
  if (!rdata) return undefined;
  const mname = nameAt(rdata, 0);
  const rname = nameAt(rdata, mname.length);
  const at = mname.length + rname.length;
  if (rdata.length !== at + 20) return undefined;
  const view = new DataView(rdata.buffer, rdata.byteOffset + at, 20);
  const [serial, refresh, retry, expire, negativeTtl] = [0, 4, 8, 12, 16].map((offset) => view.getUint32(offset));
  if (serial === undefined || refresh === undefined || retry === undefined) return undefined;
  if (expire === undefined || negativeTtl === undefined) return undefined;
  const contact = relativeTarget(rname, apex);
  return { mname, plain: { contact, serial, refresh, retry, expire, negative_ttl: negativeTtl } };
}
