/** `npm run loadtest -- SCENARIO [options]`, read; or a sentence that says what is wrong. */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { SCENARIOS, type Overrides, type ScenarioName } from '../lib/profile.ts';

export const PROFILES = path.resolve(import.meta.dirname, '../profiles');

export const USAGE = `npm run loadtest -- SCENARIO [options]

  SCENARIO                 ${SCENARIOS.slice(0, 6).join(', ')},
                           ${SCENARIOS.slice(6).join(', ')}
  --profile NAME           ${profileNames().join(', ')} (default ci)
  --nodes COUNT            of the ring that is started here (default 3)
  --url URL                gateways that exist, repeated or comma separated: no ring is started
  --admin-url URL          their admin ports, for memory and event loop
  --release NAME           a release of the chart in the cluster of KUBECONFIG
  --namespace NAME         its namespace (default default)
  --faults                 let during-chaos kill a pod, and scale-out add two, of that release
  --rate, --seconds        in place of the profile's
  --seed NUMBER            of keys and choices (default: the time)
  --keys-file FILE         for verify: the acknowledged.json of an earlier run's folder
  --no-verify              don't read every acknowledged object again at the end

Needs k6 on the PATH or in K6. TOKEN: the gateway's bearer token. Reports: loadtest/reports/.`;

export interface CommandLine {
  readonly scenario: ScenarioName;
  readonly profile: string;
  readonly nodes: number;
  readonly urls: readonly string[];
  readonly adminUrls: readonly string[];
  readonly release: string | null;
  readonly namespace: string;
  readonly mayMakeFaults: boolean;
  readonly overrides: Overrides;
  readonly seed: number;
  readonly keysFile: string | null;
  readonly isVerified: boolean;
}

export function parseCommandLine(args: readonly string[], defaultSeed: number): CommandLine | string {
  let parsed;
  try {
    parsed = parseArgs({
      args: [...args], allowPositionals: true, options: {
        profile: { type: 'string', default: 'ci' }, nodes: { type: 'string', default: '3' }, url: { type: 'string', multiple: true, default: [] }, 'admin-url': { type: 'string', multiple: true, default: [] },
        release: { type: 'string' }, namespace: { type: 'string', default: 'default' }, faults: { type: 'boolean', default: false },
        rate: { type: 'string' }, seconds: { type: 'string' }, seed: { type: 'string' }, 'keys-file': { type: 'string' }, 'no-verify': { type: 'boolean', default: false },
      },
    });
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  const { values, positionals } = parsed;
  const scenario = SCENARIOS.find((name) => name === positionals[0]);
  if (scenario === undefined || positionals.length !== 1) return positionals[0] === undefined ? 'Which scenario?' : `There is no scenario "${positionals.join(' ')}".`;
  if (!profileNames().includes(values.profile)) return `There is no profile "${values.profile}".`;
  const numbers = { nodes: values.nodes, rate: values.rate, seconds: values.seconds, seed: values.seed };
  for (const [name, text] of Object.entries(numbers)) if (text !== undefined && !(Number(text) > 0)) return `--${name} is "${text}": a number above 0 is needed.`;
  if (values.release !== undefined && values.url.length > 0) return '--url and --release exclude each other.';
  const keysFile = values['keys-file'] ?? null;
  if (scenario === 'verify' && (keysFile === null || (values.url.length === 0 && values.release === undefined))) return 'verify needs --keys-file, and --url or --release: a new ring holds nothing yet.';
  return {
    scenario, profile: values.profile, nodes: Number(values.nodes), urls: split(values.url), adminUrls: split(values['admin-url']), release: values.release ?? null, namespace: values.namespace,
    mayMakeFaults: values.faults, overrides: { rate: optional(values.rate), seconds: optional(values.seconds) }, seed: optional(values.seed) ?? defaultSeed,
    keysFile: keysFile === null ? null : path.resolve(keysFile), isVerified: !values['no-verify'],
  };
}

export function profileNames(): readonly string[] {
  return readdirSync(PROFILES).map((file) => path.basename(file, '.json')).sort();
}

function split(urls: readonly string[]): readonly string[] {
  return urls.flatMap((text) => text.split(',')).filter((url) => url !== '');
}

function optional(text: string | undefined): number | null {
  return text === undefined ? null : Number(text);
}
