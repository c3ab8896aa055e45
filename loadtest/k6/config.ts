/**
 * What a run is told through the environment, read once when k6 loads the script.
 *
 * BASE_URL: the gateways, comma separated. ADMIN_URL: the admin ports likewise, for memory and event loop. TOKEN: the
 * gateway's bearer token. PROFILE, SEED, DURATION (seconds), RATE (a second). SUMMARY_FILE: where the report goes.
 * KEYS_FILE: for verify. ACKED_LOG: `1` to print each acknowledged write. ENVIRONMENT: what the starter knows of the target.
 */
import { KeySpace } from '../lib/keys.ts';
import { scenarioProfile, type Profile, type ScenarioName, type ScenarioProfiles } from '../lib/profile.ts';
import type { Environment } from '../lib/report.ts';

const BASE_URL_DEFAULT = 'http://localhost:8080';
const PROFILE_DEFAULT = 'ci';
const SEED_MAX = 2 ** 31;

export const profileName = __ENV['PROFILE'] ?? PROFILE_DEFAULT;
export const profile = JSON.parse(open(import.meta.resolve(`../profiles/${profileName}.json`))) as Profile;
export const baseUrls: readonly string[] = urls('BASE_URL', BASE_URL_DEFAULT);
export const adminUrls: readonly string[] = urls('ADMIN_URL', '');
export const token = __ENV['TOKEN'] ?? '';
export const summaryFile = __ENV['SUMMARY_FILE'] ?? '';
export const isAckedLogged = __ENV['ACKED_LOG'] === '1';

/** Told by the starter: each virtual user loads this module by itself, and all have to agree. */
export const seed = Math.floor(Math.abs(Number(__ENV['SEED'] ?? '1'))) % SEED_MAX;

export function scenarioOf<N extends ScenarioName>(name: N): { readonly own: ScenarioProfiles[N]; readonly keys: KeySpace } {
  return { own: scenarioProfile(profile, name, { rate: number('RATE'), seconds: number('DURATION') }), keys: new KeySpace(name, seed) };
}

/** What the starter found out; the rest is asked of the target. */
export function toldEnvironment(): Partial<Environment> {
  return JSON.parse(__ENV['ENVIRONMENT'] ?? '{}') as Partial<Environment>;
}

function urls(name: string, fallback: string): readonly string[] {
  return (__ENV[name] ?? fallback).split(',').map((url) => url.trim().replace(/\/+$/, '')).filter((url) => url !== '');
}

function number(name: string): number | null {
  const text = __ENV[name];
  if (text === undefined || text === '') return null;
  const value = Number(text);
  if (!Number.isFinite(value) || value <= 0) throw new Error(`${name} is "${text}": a number above 0 is needed`);
  return value;
}
