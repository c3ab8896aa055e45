/**
 * The metrics that the program offers: those named in its sources, and the default ones of a registry. Rules and panels
 * are held against them, so that none asks for a name that was changed or misspelt.
 */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { PromMeter } from '../../src/metrics/prom-meter.ts';

const SRC = path.resolve(import.meta.dirname, '../../src');
const NAMED = /'(dht_[a-z0-9_]+)'/g;

export async function knownMetrics(): Promise<ReadonlySet<string>> {
  const sources = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts')).map((file) => readFileSync(path.join(SRC, file), 'utf8'));
  const text = await new PromMeter({ version: '0', revision: '0', nodeVersion: '0' }).text();
  return new Set([...sources.flatMap((source) => [...source.matchAll(NAMED)].map(([, name]) => name as string)), ...[...text.matchAll(/^# TYPE (\S+) /gm)].map(([, name]) => name as string)]);
}
