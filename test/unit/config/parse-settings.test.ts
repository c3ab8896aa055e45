import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { SETTINGS } from '../../../src/config/settings-catalogue.ts';
import { advertised, interfaces, parseSettings, type Environment } from '../../../src/config/parse-settings.ts';
import { settingsDocument, settingsHelp } from '../../../src/config/settings-help.ts';
import type { NodeSettings } from '../../../src/config/node-settings.ts';

function settings(args: readonly string[], environment: Environment = {}): NodeSettings {
  const outcome = parseSettings(args, environment);
  if (outcome.kind !== 'settings') throw new Error(JSON.stringify(outcome));
  return outcome.settings;
}

function wrong(args: readonly string[], environment: Environment = {}): string {
  const outcome = parseSettings(args, environment);
  return outcome.kind === 'wrong' ? outcome.message : `not refused: ${JSON.stringify(outcome)}`;
}

describe('settings of a node', () => {
  test('without any are the documented defaults', () => {
    expect(settings([])).toMatchObject({ host: 'localhost', port: 7400, httpPort: 8080, adminPort: 9464, dataDir: './data', replicas: 3, keyBits: 48, tokens: 16, candidates: 8, bootstrapExpect: 1, noJoin: false, join: [] });
  });

  test('come from flags, with and without an equals sign, and from the environment', () => {
    expect(settings(['--port', '7500', '--key-bits=16']).port).toBe(7500);
    expect(settings(['--port', '7500', '--key-bits=16']).keyBits).toBe(16);
    expect(settings([], { DHT_REPLICAS: '5', DHT_NO_JOIN: 'true' })).toMatchObject({ replicas: 5, noJoin: true });
  });

  test('given by flag win over the environment', () => {
    expect(settings(['--port', '1'], { DHT_PORT: '2' }).port).toBe(1);
    expect(settings(['--no-join=false'], { DHT_NO_JOIN: 'true' }).noJoin).toBe(false);
  });

  test('that are empty in the environment count as not set', () => {
    expect(settings([], { DHT_PORT: '' }).port).toBe(7400);
  });

  test('that are lists repeat as flags and use commas in the environment', () => {
    const both = [{ host: 'a', port: 1 }, { host: '::1', port: 2 }];
    expect(settings(['--join', 'a:1', '--join', '[::1]:2']).join).toEqual(both);
    expect(settings([], { DHT_JOIN: 'a:1, [::1]:2' }).join).toEqual(both);
  });

  test.each([
    [['--port', '65536'], '--port is "65536": allowed is a port from 0 (any free one) to 65535'],
    [['--port', '-1'], '--port is "-1"'],
    [['--port', '7e3'], '--port is "7e3"'],
    [['--port'], '--port has no value'],
    [['--port', '1', '--port', '2'], '--port is given twice: "1" and "2"'],
    [['--host', '--port', '1'], '--host has no value'],
    [['--host', 'a:1'], '--host is "a:1"'],
    [['--host', ''], '--host is ""'],
    [['--key-bits', '7'], '--key-bits is "7": allowed is an integer from 8 to 48'],
    [['--replicas', '0'], '--replicas is "0"'],
    [['--join', 'nowhere'], '--join is "nowhere": allowed is host:port'],
    [['--join', 'a:0'], '--join is "a:0"'],
    [['--no-join=yes'], '--no-join is "yes": allowed is true or false'],
    [['--log-level', 'loud'], '--log-level is "loud": allowed is one of debug, info, warn, error'],
    [['--prot', '1'], 'unknown setting --prot (did you mean --port?)'],
    [['-p', '1'], 'unknown setting -p'],
    [['start'], 'unexpected argument "start"'],
    [['--cluster-secret', 'x'], 'unknown setting --cluster-secret'],
    [['--bootstrap-expect', '3', '--join', 'a:1'], '--bootstrap-expect is "3"'],
    [['--no-join', '--join', 'a:1'], '--no-join and --join a:1 contradict'],
    [['--host', 'n1.example'], 'off loopback --cluster-secret-file is needed'],
    [['--listen', '0.0.0.0'], 'off loopback --cluster-secret-file is needed'],
    [['--admin-listen', '::'], '--admin-listen is "::"'],
    [['--tls-cert-file', '/c'], '--tls-cert-file is "/c" and --tls-key-file is not set'],
    [['--tls-key-file', '/k'], '--tls-key-file is "/k" and --tls-cert-file is not set'],
    [['--gateway-tokens-file', ''], '--gateway-tokens-file is ""'],
  ])('%j are refused in one line that names the setting', (args, message) => {
    expect(wrong(args)).toContain(message);
    expect(wrong(args)).not.toContain('\n');
  });

  test('that are unknown in the environment are refused, those of the command line are not', () => {
    expect(wrong([], { DHT_REPLICA: '3' })).toContain('unknown setting DHT_REPLICA="3"');
    expect(settings([], { DHT_URL: 'http://x', PATH: '/bin' }).port).toBe(7400);
  });

  test('that may be secrets are not printed', () => {
    expect(wrong([], { DHT_CLUSTER_SECRET: 'too short' })).toBe('DHT_CLUSTER_SECRET is (9 bytes): allowed is text of 32 to 4096 bytes');
    expect(wrong([], { DHT_SECRET: 'oh dear' })).not.toContain('oh dear');
  });

  test('off loopback need a secret or the word insecure', () => {
    expect(settings(['--host', 'n1', '--cluster-secret-file', '/s']).clusterSecretFile).toBe('/s');
    expect(settings(['--host', 'n1', '--insecure-transport']).insecureTransport).toBe(true);
    expect(wrong(['--cluster-secret-file', '/s'], { DHT_CLUSTER_SECRET: 'x'.repeat(32) })).toContain('are both set');
  });

  test('guard the gateway by tokens, and by certificate and key together', () => {
    expect(settings([])).toMatchObject({ gatewayTokensFile: null, tlsCertFile: null, tlsKeyFile: null });
    expect(settings(['--tls-cert-file', '/c'], { DHT_TLS_KEY_FILE: '/k', DHT_GATEWAY_TOKENS_FILE: '/t' })).toMatchObject({ gatewayTokensFile: '/t', tlsCertFile: '/c', tlsKeyFile: '/k' });
  });

  test('bind loopback for a loopback host, everything otherwise, the admin port only when told', () => {
    expect(interfaces(settings([]))).toEqual({ listen: '127.0.0.1', httpListen: '127.0.0.1', adminListen: '127.0.0.1' });
    const remote = ['--host', 'n1', '--cluster-secret-file', '/s'];
    expect(interfaces(settings(remote))).toEqual({ listen: '::', httpListen: '::', adminListen: '127.0.0.1' });
    expect(interfaces(settings([...remote, '--admin-listen', '0.0.0.0'])).adminListen).toBe('0.0.0.0');
  });

  test('advertise host and port unless told otherwise', () => {
    expect(advertised(settings(['--port', '1']))).toEqual({ host: 'localhost', port: 1 });
    expect(advertised(settings(['--advertise', 'x:2']))).toEqual({ host: 'x', port: 2 });
  });

  test('ask for help with --help', () => {
    expect(parseSettings(['--port', '1', '--help'], {})).toEqual({ kind: 'help' });
  });
});

describe('the catalogue of settings', () => {
  test('parses every default that can be written down', () => {
    for (const setting of Object.values(SETTINGS)) {
      if (/^[\w./]+$/.test(setting.defaultText) && !['none', 'loopback'].includes(setting.defaultText)) expect(setting.parse(setting.defaultText)).toEqual(setting.default);
    }
  });

  test('has each flag and variable once and all of them in the help', () => {
    const flags = Object.values(SETTINGS).flatMap(({ flag }) => (flag === null ? [] : [flag]));
    const names = Object.values(SETTINGS).map(({ environment }) => environment);
    expect(new Set(flags).size).toBe(flags.length);
    expect(new Set(names).size).toBe(names.length);
    const help = settingsHelp();
    for (const flag of flags) expect(help).toContain(`--${flag}`);
    for (const name of names) expect(help).toContain(name);
  });

  test('is what docs/settings.md says', () => {
    expect(readFileSync(path.resolve(import.meta.dirname, '../../../docs/settings.md'), 'utf8')).toBe(settingsDocument());
  });
});
