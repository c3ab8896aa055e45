/**
 * The address that names a node: `host` and `port` of the seed. It gives the node its key (`hasher(host + port)`),
 * its directory (`host_port`) and its name in the layout (`host:port`). Peers dial `advertise`, which differs only
 * where the name isn't reachable itself.
 */
export interface NodeAddress {
  readonly host: string;
  readonly port: number;
}

/** `host:port`, the member's name in the layout. IPv6 hosts are bracketed. */
export function addressText(address: NodeAddress): string {
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

/** Reads `host:port` (or `[v6]:port`); null when the text is no address. Port 0 is allowed, it means "any". */
export function parseAddress(text: string): NodeAddress | null {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:\s[\]/]+)):(\d{1,5})$/.exec(text);
  if (match === null) return null;
  const host = match[1] ?? match[2];
  const port = Number(match[3]);
  if (host === undefined || port > 65535) return null;
  return { host, port };
}
