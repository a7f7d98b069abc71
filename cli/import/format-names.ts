/**
 * The names of the formats that `pharos import` reads, apart from what reads them: every command loads this file.
 */
export const FORMATS = [
  'bind',
  'route53',
  'gdnsd',
  'octodns',
  'powerdns',
  'k8gb',
  'geodns',
  'coredns-gslb',
  'ns1',
  'cloudflare',
] as const;
export type Format = (typeof FORMATS)[number];
