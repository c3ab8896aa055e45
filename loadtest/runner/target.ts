/** What the load is sent to: gateways, what can be known about them, and the faults that may be made there. */
import os from 'node:os';
import type { Environment } from '../lib/report.ts';

export interface Target {
  readonly baseUrls: readonly string[];
  readonly adminUrls: readonly string[];
  readonly environment: Partial<Environment>;
  /** null: whoever runs the ring has to make them. Each says in words what it did. */
  readonly faults: Faults | null;
  stop(): Promise<void>;
}

export interface Faults {
  kill(): Promise<string>;
  bringBack(): Promise<string>;
  grow(): Promise<string>;
}

/** Gateways that somebody else runs. */
export function givenTarget(baseUrls: readonly string[], adminUrls: readonly string[]): Target {
  return { baseUrls, adminUrls, environment: { machine: machine() }, faults: null, stop: () => Promise.resolve() };
}

/** Where the load is made. */
export function machine(): string {
  return `${os.availableParallelism()} cores, load average ${(os.loadavg()[0] ?? 0).toFixed(1)} before`;
}

/** Versions of the program and of Node, as a node's metrics tell them. */
export async function buildOf(adminUrl: string): Promise<Partial<Environment>> {
  const text = await fetch(`${adminUrl}/metrics`, { signal: AbortSignal.timeout(5_000) }).then((response) => response.text(), () => '');
  const labels = /^dht_build_info\{([^}]*)\}/m.exec(text)?.[1] ?? '';
  const label = (name: string): string | undefined => new RegExp(`(?:^|,)${name}="([^"]*)"`).exec(labels)?.[1];
  const version = label('version');
  const nodeVersion = label('node_version');
  return { ...(version !== undefined && { version }), ...(nodeVersion !== undefined && { nodeVersion }) };
}
