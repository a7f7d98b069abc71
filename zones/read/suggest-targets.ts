/**
 * Suggests known services and targets (docs/commands.md#targets) for misspelled ones.
 */
import { nearestHint } from '../../config/nearest-word.ts';
import type { Catalog, ServiceInfo, VipInfo } from '../catalog.ts';

/** Names are compared without case and without final dot (RFC 4343). */
export function findService(catalog: Catalog, name: string): ServiceInfo | undefined {
  const wanted = canonical(name);
  return catalog.services.find((service) => service.name === wanted);
}

export function vipsOf(catalog: Catalog, service: ServiceInfo): readonly VipInfo[] {
  return catalog.vips.slice(service.firstSlot, service.firstSlot + service.vipCount);
}

/** Explains why a target matches no VIP, and suggests the nearest known one. */
export function unknownTarget(catalog: Catalog, text: string): { readonly detail: string; readonly hint: string } {
  // Owners may contain slashes (RFC 2317); names of VIPs and regions do not.
  const slash = text.lastIndexOf('/');
  const last = text.slice(slash + 1);
  if (slash < 0 && last.startsWith('@')) return unknownRegion(catalog, catalog.vips, last.slice(1));
  const name = slash < 0 ? text : text.slice(0, slash);
  const service = findService(catalog, name);
  if (service === undefined) return unknownService(catalog, name);
  const vips = vipsOf(catalog, service);
  if (slash < 0) {
    const example = `${service.name}/${vips[0]?.name ?? '@region'}`;
    return {
      detail: `"${text}" is a service, not a VIP or region of it`,
      hint: `take ${example} or ${service.name}/@region`,
    };
  }
  if (last.startsWith('@')) return unknownRegion(catalog, vips, last.slice(1));
  const known = vips.map((vip) => vip.name);
  return { detail: `${service.name} has no VIP "${last}"`, hint: nearestHint(last, known) };
}

/** For a 404. */
export function unknownService(catalog: Catalog, name: string): { readonly detail: string; readonly hint: string } {
  const known = catalog.services.map((service) => service.name);
  return { detail: `no service is called "${canonical(name)}"`, hint: nearestHint(canonical(name), known) };
}

function unknownRegion(
  catalog: Catalog,
  among: readonly VipInfo[],
  name: string,
): { readonly detail: string; readonly hint: string } {
  const regions = new Set(
    among.map((vip) => catalog.regions[vip.region]?.name ?? '').filter((region) => region !== ''),
  );
  return { detail: `no VIP is in a region "${name}"`, hint: nearestHint(name, regions) };
}

function canonical(name: string): string {
  return name === '.' ? name : name.toLowerCase().replace(/\.$/, '');
}
