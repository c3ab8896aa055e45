/**
 * Flags and environment to NodeSettings, or one line that says which setting is wrong, what it was and what is allowed.
 * A flag wins over the environment. Nothing unknown is ignored: a misspelt setting would otherwise run with a default.
 */
import { parseArgs } from 'node:util';
import { addressText, type NodeAddress } from '../domain/node-address.ts';
import type { NodeSettings } from './node-settings.ts';
import { COMMAND_LINE_ENVIRONMENT, SETTINGS, type Setting } from './settings-catalogue.ts';

export type SettingsOutcome =
  | { readonly kind: 'settings'; readonly settings: NodeSettings }
  | { readonly kind: 'help' }
  | { readonly kind: 'wrong'; readonly message: string };

export type Environment = Readonly<Record<string, string | undefined>>;

type Key = keyof NodeSettings;

const KEYS = Object.keys(SETTINGS) as Key[];

class WrongSetting extends Error {}

/** Reads the arguments after `dht node` and the environment. */
export function parseSettings(args: readonly string[], environment: Environment): SettingsOutcome {
  try {
    const flags = readFlags(args);
    if (flags === 'help') return { kind: 'help' };
    refuseUnknownEnvironment(environment);
    const settings = Object.fromEntries(KEYS.map((key) => [key, valueOf(key, flags, environment)])) as unknown as NodeSettings;
    checkTogether(settings);
    return { kind: 'settings', settings };
  } catch (error) {
    if (error instanceof WrongSetting) return { kind: 'wrong', message: error.message };
    throw error;
  }
}

/** The texts given for each setting by flags. */
function readFlags(args: readonly string[]): ReadonlyMap<Key, readonly string[]> | 'help' {
  const byFlag = new Map(KEYS.map((key) => [SETTINGS[key].flag, key]));
  const { tokens } = parseArgs({
    args: [...args],
    strict: false,
    tokens: true,
    allowNegative: false,
    options: Object.fromEntries(KEYS.flatMap((key) => flagOption(SETTINGS[key]))),
  });
  const found = new Map<Key, string[]>();
  for (const token of tokens) {
    if (token.kind === 'positional') throw new WrongSetting(`unexpected argument "${token.value}": dht node takes only --settings, see dht node --help`);
    if (token.kind === 'option-terminator') continue;
    if (token.name === 'help' || token.rawName === '-h') return 'help';
    const key = token.rawName.startsWith('--') ? byFlag.get(token.name) : undefined;
    if (key === undefined) throw new WrongSetting(`unknown setting ${token.rawName}${nearestFlag(token.name)}; see dht node --help`);
    const setting = SETTINGS[key];
    const text = token.value ?? (setting.arity === 'switch' ? 'true' : undefined);
    // "--host --port 7400" would take "--port" for the host.
    if (text === undefined || (token.value?.startsWith('--') === true && !token.inlineValue)) throw new WrongSetting(`--${token.name} has no value: it takes ${setting.allowed}`);
    const texts = found.get(key) ?? [];
    if (texts.length > 0 && setting.arity !== 'list') throw new WrongSetting(`--${token.name} is given twice: "${texts[0] ?? ''}" and "${text}"; it takes ${setting.allowed}`);
    found.set(key, [...texts, text]);
  }
  return found;
}

function flagOption(setting: Setting<unknown>): [string, { type: 'boolean' | 'string' }][] {
  return setting.flag === null ? [] : [[setting.flag, { type: setting.arity === 'switch' ? 'boolean' : 'string' }]];
}

/** " (did you mean --x?)" when a flag differs from it by at most two letters. */
function nearestFlag(name: string): string {
  const near = KEYS.map((key) => SETTINGS[key].flag).find((flag) => flag !== null && editDistance(name, flag) <= 2);
  return near === undefined || near === null ? '' : ` (did you mean --${near}?)`;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

function refuseUnknownEnvironment(environment: Environment): void {
  const known = new Set([...KEYS.map((key) => SETTINGS[key].environment), ...COMMAND_LINE_ENVIRONMENT]);
  for (const name of Object.keys(environment).sort()) {
    if (name.startsWith('DHT_') && !known.has(name)) throw new WrongSetting(`unknown setting ${name}=${shown(name, environment[name] ?? '')} in the environment; see dht node --help`);
  }
}

/** A value for an error message; one that may be a secret isn't shown. */
function shown(name: string, text: string): string {
  return /SECRET|TOKEN|PASSWORD/.test(name) ? `(${Buffer.byteLength(text)} bytes)` : `"${text}"`;
}

function valueOf(key: Key, flags: ReadonlyMap<Key, readonly string[]>, environment: Environment): unknown {
  const setting = SETTINGS[key];
  const given = flags.get(key);
  const text = given?.join(',') ?? environment[setting.environment];
  // An empty variable is how most tools unset one.
  if (text === undefined || (given === undefined && text === '')) return setting.default;
  const value = setting.parse(text);
  if (value !== undefined) return value;
  const name = given === undefined ? setting.environment : `--${setting.flag ?? ''}`;
  throw new WrongSetting(`${name} is ${shown(name, text)}: allowed is ${setting.allowed}`);
}

/** What no single setting shows. */
function checkTogether(settings: NodeSettings): void {
  const { clusterSecret, clusterSecretFile, join, bootstrapExpect } = settings;
  const { kubernetesNamespace, kubernetesStatefulSet, kubernetesSecret, leavePolicy } = settings;
  const hasSecret = clusterSecret !== null || clusterSecretFile !== null || kubernetesSecret !== null;
  const kubernetes = [kubernetesNamespace, kubernetesStatefulSet, kubernetesSecret].filter((name) => name !== null);
  if (kubernetes.length > 0 && kubernetes.length < 3) throw new WrongSetting(`of --kubernetes-namespace, --kubernetes-stateful-set and --kubernetes-secret only ${kubernetes.map((name) => `"${name}"`).join(' and ')} is set: give all three or none`);
  if (leavePolicy === 'auto' && kubernetesStatefulSet === null) throw new WrongSetting('--leave-policy is "auto": it needs --kubernetes-stateful-set, which tells how many nodes are wanted; allowed without it are never and always');
  if (clusterSecret !== null && clusterSecretFile !== null) throw new WrongSetting('DHT_CLUSTER_SECRET and --cluster-secret-file are both set: give one of them');
  const { tlsCertFile, tlsKeyFile } = settings;
  if (tlsCertFile !== null && tlsKeyFile === null) throw new WrongSetting(`--tls-cert-file is "${tlsCertFile}" and --tls-key-file is not set: give both or neither`);
  if (tlsKeyFile !== null && tlsCertFile === null) throw new WrongSetting(`--tls-key-file is "${tlsKeyFile}" and --tls-cert-file is not set: give both or neither`);
  if (settings.noJoin && join.length > 0) throw new WrongSetting(`--no-join and --join ${join.map(addressText).join(',')} contradict each other: give one of them`);
  if (bootstrapExpect > 1 && bootstrapExpect > join.length) throw new WrongSetting(`--bootstrap-expect is "${bootstrapExpect}": allowed is at most the number of --join addresses, ${join.length}`);
  const { listen, adminListen } = interfaces(settings);
  if (!hasSecret && !settings.insecureTransport && (!isLoopback(settings.host) || !isLoopback(listen))) {
    throw new WrongSetting(`--host is "${settings.host}"${isLoopback(listen) ? '' : `, --listen "${listen}"`}: off loopback --cluster-secret-file is needed (or --insecure-transport)`);
  }
  if (!hasSecret && !isLoopback(adminListen)) throw new WrongSetting(`--admin-listen is "${adminListen}": off loopback --cluster-secret-file is needed, the admin token is derived from it`);
}

export const LOOPBACK = '127.0.0.1';
/** Every interface, IPv4 and IPv6. */
export const ALL_INTERFACES = '::';

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);
}

/** The interfaces to bind: as told, or by the rule of the default. */
export function interfaces(settings: NodeSettings): { readonly listen: string; readonly httpListen: string; readonly adminListen: string } {
  const byHost = settings.host === 'localhost' ? LOOPBACK : isLoopback(settings.host) ? settings.host : ALL_INTERFACES;
  return { listen: settings.listen ?? byHost, httpListen: settings.httpListen ?? byHost, adminListen: settings.adminListen ?? LOOPBACK };
}

/** The address that peers dial; port 0 follows the port really bound. */
export function advertised(settings: NodeSettings): NodeAddress {
  return settings.advertise ?? { host: settings.host, port: settings.port };
}
