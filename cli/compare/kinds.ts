/**
 * The kinds of differences between two servers.
 */
/** Kinds of differences, and what they mean. `--ignore` names them. */
export const KINDS = {
  silence: 'one server sends no usable response',
  name: 'the name exists at one server only',
  rcode: 'other RCODEs',
  records: 'the answers have other records',
  choices: 'answers vary, and one server never gives a record that the other gives often',
  shares: 'answers vary, and records are in other shares of them',
  ttl: 'other TTLs',
  aa: 'one answer is authoritative, the other is not',
  authority: 'other SOA records of a negative answer, or other NS or DS records of a referral',
  glue: 'other addresses of the name servers of a referral',
  scope: 'the answer is for another part of the clients',
  serial: 'other serials of the SOA',
  case: 'the question comes back in other letters',
  edns: 'one server answers with EDNS, the other without',
} as const;

export type Kind = keyof typeof KINDS;
