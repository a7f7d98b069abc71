/**
 * `node bench/dns2-server.ts PORT ZONES`: serves zones of world.ts (as JSON) from a Map, with the npm package dns2.
 */
import { createServer, Packet, type Resource } from 'dns2';
import { staticAddress, staticName, TTL, WEIGHTS, type Zone } from './world.ts';

const zones = JSON.parse(process.argv[3] ?? '[]') as Zone[];
/** Names, each with the addresses of which one is drawn. */
const names = new Map<string, readonly { readonly address: string; readonly weight: number }[]>();
for (const zone of zones) {
  if (zone.kind === 'weighted') names.set(`www.${zone.name}`, WEIGHTS);
  if (zone.kind !== 'static') continue;
  for (let i = 0; i < zone.names; i++) {
    names.set(`${staticName(i)}.${zone.name}`, [{ address: staticAddress(i), weight: 1 }]);
  }
}

const server = createServer({
  udp: true,
  handle: (request, send) => {
    const response = Packet.createResponseFromRequest(request);
    const { name = '', type } = request.questions[0] ?? {};
    const key = name.toLowerCase();
    const addresses = names.get(key);
    const zone = zones.find((each) => key === each.name || key.endsWith(`.${each.name}`))?.name;
    response.header.aa = zone === undefined ? 0 : 1;
    if (zone === undefined) response.header.rcode = Packet.RCODE.REFUSED;
    else if (addresses && type === Packet.TYPE.A) {
      const record = { name, type: Packet.TYPE.A, class: Packet.CLASS.IN, ttl: TTL, address: draw(addresses) };
      response.answers.push(new Packet.Resource(record));
    } else {
      if (!addresses && key !== zone) response.header.rcode = Packet.RCODE.NXDOMAIN;
      response.authorities.push(soa(zone));
    }
    void send(response);
  },
});
await server.listen({ udp: { port: Number(process.argv[2]), address: '127.0.0.1' } });

function draw(from: readonly { readonly address: string; readonly weight: number }[]): string {
  let left = Math.random() * from.reduce((sum, { weight }) => sum + weight, 0);
  for (const { address, weight } of from) {
    left -= weight;
    if (left < 0) return address;
  }
  return '';
}

function soa(zone: string): Resource {
  return new Packet.Resource({
    name: zone,
    type: Packet.TYPE.SOA,
    class: Packet.CLASS.IN,
    ttl: 60,
    primary: `ns1.${zone}`,
    admin: `hostmaster.${zone}`,
    serial: 1,
    refresh: 7200,
    retry: 1800,
    expiration: 1_209_600,
    minimum: 60,
  });
}
