/** Traces as the explain room makes them, for tests of their text. */
import type { Trace } from '../../../steering/trace.ts';

export const steered: Trace = {
  name: 'www.example.com',
  type: 'A',
  zone: 'example.com',
  alias: [],
  service: 'www.example.com',
  client: {
    address: '203.0.113.0/24',
    source: 'subnet',
    country: 'KR',
    subdivision: '',
    city: '',
    continent: 'asia',
    latitude: 37.57,
    longitude: 126.98,
    asn: 64500,
    how: 'located by city.mmdb',
  },
  via: [],
  candidates: [
    {
      vip: 'seoul-a',
      target: 'www.example.com/seoul-a',
      region: 'seoul',
      data: '203.0.113.10',
      weight: 4,
      ramp: 1,
      shed: 0,
      probed: 'up',
      forced: undefined,
      available: true,
      why: 'up',
    },
    {
      vip: 'virginia-a',
      target: 'www.example.com/virginia-a',
      region: 'virginia',
      data: '198.51.100.10',
      weight: 1,
      ramp: 1,
      shed: 0,
      probed: 'up',
      forced: 'drain',
      available: false,
      why: 'drained by an operator',
    },
  ],
  steps: [
    { step: 'geo', kept: ['seoul-a'], why: 'KR -> seoul' },
    { step: 'weighted', kept: ['seoul-a'], why: 'the only one' },
  ],
  allDown: undefined,
  answer: {
    rcode: 'NOERROR',
    records: [{ name: 'www.example.com', type: 'A', ttl: 20, data: '203.0.113.10' }],
    vips: ['seoul-a'],
  },
  ttl: { seconds: 20, why: 'fixed by the service' },
  signing: undefined,
  scope: { bits: 24, why: 'the whole /24 is KR' },
};

/** The same question with every VIP down. */
export const allDown: Trace = {
  ...steered,
  candidates: steered.candidates.map((candidate) => ({
    ...candidate,
    available: false,
    probed: 'down',
    why: 'status 503',
  })),
  allDown: 'serve_all: steered as if everything were up',
};

/** A name that is not steered and does not exist. */
export const missing: Trace = {
  ...steered,
  name: 'nothing.example.com',
  service: undefined,
  client: {
    ...steered.client,
    address: undefined,
    source: 'place',
    country: '',
    continent: '',
    asn: 0,
    latitude: undefined,
  },
  candidates: [],
  steps: [],
  answer: { rcode: 'NXDOMAIN', records: [], vips: [] },
  scope: { bits: 0, why: 'the same for every client' },
};
