import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import * as fs from 'node:fs';
import * as net from 'node:net';
import * as os from 'node:os';
import * as path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { CERTIFICATE, CERTIFICATE_KEY, OTHER_KEY, RENEWED_CERTIFICATE, RENEWED_CERTIFICATE_KEY } from '../support/gateway-certificate.ts';

/** The program itself, as processes of their own: settings, life cycle, and a whole ring. */
const MAIN = path.resolve(import.meta.dirname, '../../src/main.ts');
const DEADLINE_MS = 15_000;

let directory: string;
const started: Program[] = [];

class Program {
  readonly process: ChildProcessWithoutNullStreams;
  output = '';
  errors = '';
  readonly exit: Promise<number | string>;
  hasExited = false;

  constructor(args: readonly string[], environment: Record<string, string> = {}) {
    const inherited = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('DHT_') && name !== 'NODE_OPTIONS'));
    this.process = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', MAIN, ...args], { cwd: directory, env: { ...inherited, ...environment } });
    this.process.stdout.on('data', (chunk: Buffer) => (this.output += chunk.toString()));
    this.process.stderr.on('data', (chunk: Buffer) => (this.errors += chunk.toString()));
    this.exit = new Promise((resolve) => {
      this.process.on('close', (code, signal) => {
        this.hasExited = true;
        resolve(code ?? signal ?? '');
      });
    });
    started.push(this);
  }

  /** Waits for a log line of a node. */
  async logged(message: string): Promise<Record<string, unknown>> {
    const find = (): string | undefined => this.errors.split('\n').find((line) => line.includes(`"message":"${message}"`) && line.endsWith('}'));
    await until(() => find() !== undefined || this.hasExited, () => this.errors);
    return JSON.parse(find() ?? `{"missing":${JSON.stringify(this.errors)}}`) as Record<string, unknown>;
  }
}

async function until(condition: () => boolean | Promise<boolean>, explanation: () => string): Promise<void> {
  const end = performance.now() + DEADLINE_MS;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`waited ${DEADLINE_MS} ms: ${explanation()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

beforeEach(() => {
  directory = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'dht-')));
});

afterEach(async () => {
  for (const program of started) if (!program.hasExited) program.process.kill('SIGKILL');
  await Promise.all(started.splice(0).map((program) => program.exit));
  fs.rmSync(directory, { recursive: true, force: true });
});

const ANY_PORTS = ['--port', '0', '--http-port', '0', '--admin-port', '0'];

describe('dht node', () => {
  test.each([
    [['--replicas', 'three'], {}, '--replicas is "three": allowed is an integer from 1 to 9'],
    [['--relicas', '3'], {}, 'unknown setting --relicas (did you mean --replicas?)'],
    [[], { DHT_KEY_BITS: '64' }, 'DHT_KEY_BITS is "64"'],
    [[], { DHT_TYPO: 'x' }, 'unknown setting DHT_TYPO="x"'],
  ])('with %j %j ends at once with 2 and one line', async (args, environment, message) => {
    const program = new Program(['node', ...args], environment as Record<string, string>);
    expect(await program.exit).toBe(2);
    expect(program.errors).toContain(`dht node: ${message}`);
    expect(program.errors.trimEnd()).not.toContain('\n');
    expect(fs.readdirSync(directory)).toEqual([]);
  });

  test('--help shows every setting', async () => {
    const program = new Program(['node', '--help']);
    expect(await program.exit).toBe(0);
    expect(program.output).toContain('--cluster-secret-file FILE  (DHT_CLUSTER_SECRET_FILE)');
  });

  test('takes free ports for 0, says which, and ends with 0 on SIGTERM', async () => {
    const program = new Program(['node', ...ANY_PORTS]);
    const { port, httpPort, adminPort } = await program.logged('The node listens');
    expect(await program.logged('Ready')).toMatchObject({ level: 'info' });
    const node = (await (await fetch(`http://127.0.0.1:${String(adminPort)}/v1/node`)).json()) as Record<string, unknown>;
    expect(node).toMatchObject({ port, httpPort, adminPort, state: 'serving', transport: 'plaintext' });
    program.process.kill('SIGTERM');
    expect(await program.exit).toBe(0);
  });

  test('refuses to start on a port in use, and says so', async () => {
    const first = new Program(['node', ...ANY_PORTS, '--host', '127.0.0.1']);
    const { httpPort } = await first.logged('The node listens');
    const samePort = new Program(['node', '--port', '0', '--http-port', String(httpPort), '--admin-port', '0']);
    expect(await samePort.exit).toBe(1);
    expect(samePort.errors).toContain('EADDRINUSE');
  });

  test('waits while its directory belongs to a running process, says so, and starts when that one has ended', async () => {
    const first = new Program(['node', ...ANY_PORTS, '--host', '127.0.0.1']);
    const { port } = await first.logged('The node listens');
    const args = ['node', '--port', String(port), '--http-port', '0', '--admin-port', '0', '--host', '127.0.0.1'];
    const impatient = new Program(args);
    const second = new Program(args);
    const waiting = 'another process uses the data directory; waiting for it to end';
    await Promise.all([impatient.logged(waiting), second.logged(waiting)]);
    impatient.process.kill('SIGTERM');
    expect(await impatient.exit).toBe(0);
    first.process.kill('SIGKILL');
    expect(await second.logged('Ready')).toMatchObject({ level: 'info' });
  });

  test.each([
    ['too-short', 2],
    [null, 1],
  ])('with the cluster secret %p does not start', async (text, exitCode) => {
    if (text !== null) fs.writeFileSync(path.join(directory, 'secret'), text);
    const program = new Program(['node', ...ANY_PORTS, '--cluster-secret-file', 'secret']);
    expect(await program.exit).toBe(exitCode);
    expect(program.errors).toMatch(text === null ? /ENOENT/ : /DHT_ERR_SETTING_INVALID/);
    expect(program.errors).not.toContain('too-short');
  });
});

describe('a gateway with tokens and a certificate', () => {
  const GUARD = ['--gateway-tokens-file', 'tokens', '--tls-cert-file', 'cert.pem', '--tls-key-file', 'key.pem'];

  beforeEach(() => {
    fs.writeFileSync(path.join(directory, 'tokens'), 'anna:anna-token-0123456789\n');
    fs.writeFileSync(path.join(directory, 'cert.pem'), CERTIFICATE);
    fs.writeFileSync(path.join(directory, 'key.pem'), CERTIFICATE_KEY);
  });

  test('takes the commands of who has a token and trusts the certificate', async () => {
    const node = new Program(['node', ...ANY_PORTS, ...GUARD, '--log-level', 'debug']);
    const { httpPort } = await node.logged('The node listens');
    await node.logged('Ready');
    const environment = { DHT_URL: `https://localhost:${String(httpPort)}`, DHT_TOKEN: 'anna-token-0123456789', NODE_EXTRA_CA_CERTS: 'cert.pem' };
    fs.writeFileSync(path.join(directory, 'hello.txt'), 'hello\n');
    const put = new Program(['put', 'hello.txt'], environment);
    expect(await put.exit).toBe(0);
    const get = new Program(['get', 'hello.txt', '-o', '-'], environment);
    expect([await get.exit, get.output]).toEqual([0, 'hello\n']);
    const stranger = new Program(['get', 'hello.txt', '-o', '-'], { ...environment, DHT_TOKEN: '' });
    expect([await stranger.exit, stranger.output]).toEqual([1, '']);
    expect(stranger.errors).toContain('DHT_ERR_UNAUTHORIZED');
    const doubter = new Program(['get', 'hello.txt', '-o', '-'], { ...environment, NODE_EXTRA_CA_CERTS: '' });
    expect([await doubter.exit, doubter.output]).toEqual([5, '']);
    expect(doubter.errors).toContain('self-signed certificate');
    expect(node.errors).toContain('"token":"anna"');
    expect(node.errors).not.toContain('anna-token');
  }, 30_000);

  test('takes replaced tokens and a renewed certificate while it runs', async () => {
    const node = new Program(['node', ...ANY_PORTS, ...GUARD]);
    const { httpPort } = await node.logged('The node listens');
    await node.logged('Ready');
    fs.writeFileSync(path.join(directory, 'tokens'), 'bert:bert-token-0123456789\n');
    fs.writeFileSync(path.join(directory, 'cert.pem'), RENEWED_CERTIFICATE);
    fs.writeFileSync(path.join(directory, 'key.pem'), RENEWED_CERTIFICATE_KEY);
    fs.writeFileSync(path.join(directory, 'hello.txt'), 'hello\n');
    const inUse = (): number => node.errors.split('Replaced files are in use').length - 1;
    await until(() => inUse() === 2, () => node.errors);
    const put = new Program(['put', 'hello.txt'], { DHT_URL: `https://localhost:${String(httpPort)}`, DHT_TOKEN: 'bert-token-0123456789', NODE_EXTRA_CA_CERTS: 'cert.pem' });
    expect(await put.exit).toBe(0);
  }, 30_000);

  test.each([
    ['tokens', 'has too short a token', 'anna:short', 2, 'DHT_ERR_SETTING_INVALID'],
    ['tokens', 'is missing', null, 1, 'ENOENT'],
    ['key.pem', 'belongs to another certificate', OTHER_KEY, 2, 'DHT_ERR_SETTING_INVALID'],
    ['cert.pem', 'is no certificate', 'nonsense', 2, 'DHT_ERR_SETTING_INVALID'],
    ['cert.pem', 'is missing', null, 1, 'ENOENT'],
  ])('does not start when the file %s %s', async (file, _what, text, exitCode, message) => {
    if (text === null) fs.rmSync(path.join(directory, file));
    else fs.writeFileSync(path.join(directory, file), text);
    const node = new Program(['node', ...ANY_PORTS, ...GUARD]);
    expect(await node.exit).toBe(exitCode);
    expect(node.errors).toContain(message);
    expect(node.errors).not.toMatch(/anna:short|PRIVATE KEY/);
  });
});

describe('dht dev', () => {
  /** The first of nine ports in a row that are free now. */
  async function freePorts(): Promise<number> {
    const isFree = (port: number): Promise<boolean> =>
      new Promise((resolve) => {
        const server = net.createServer().once('error', () => resolve(false));
        server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
      });
    for (let base = 20_000 + (process.pid % 1000) * 10; ; base += 10) {
      const free = await Promise.all(Array.from({ length: 9 }, (_, index) => isFree(base + index)));
      if (free.every(Boolean)) return base;
    }
  }

  test('runs a ring that survives a killed node, takes it back, and ends cleanly on Ctrl-C', async () => {
    const base = await freePorts();
    const dev = new Program(['dev', '--nodes', '3', '--port', String(base), '--http-port', String(base + 3), '--admin-port', String(base + 6)]);
    await until(() => dev.output.includes('Ctrl-C ends all') || dev.hasExited, () => dev.output + dev.errors);
    const gateway = (index: number): string => `http://localhost:${base + 3 + index}`;
    const admin = (index: number): string => `http://localhost:${base + 6 + index}`;
    expect(dev.output).toContain(`curl -sS ${gateway(2)}/v1/objects/hello.txt`);
    expect(fs.statSync(path.join(directory, 'data/cluster-secret')).mode & 0o777).toBe(0o600);
    expect(await (await fetch(`${admin(0)}/v1/node`)).json()).toMatchObject({ transport: 'tls-psk', replicationFactor: 3 });

    const run = async (...args: string[]): Promise<{ code: number | string; output: string; errors: string }> => {
      const program = new Program(args);
      return { code: await program.exit, output: program.output, errors: program.errors };
    };
    fs.writeFileSync(path.join(directory, 'hello.txt'), 'hello, ring\n');
    expect(await run('put', 'hello.txt', '--name', 'greetings/hello.txt', '--url', gateway(0))).toMatchObject({ code: 0 });
    expect(await run('get', 'greetings/hello.txt', '--url', gateway(1))).toMatchObject({ code: 0, output: 'greetings/hello.txt  12 B\n' });
    expect(fs.readFileSync(path.join(directory, 'greetings/hello.txt'), 'utf8')).toBe('hello, ring\n');
    expect(await run('get', 'none', '--url', gateway(1))).toMatchObject({ code: 4 });

    const view = JSON.parse((await run('status', '--json', '--admin-url', admin(0))).output) as { members: unknown[] };
    expect(view.members).toHaveLength(3);
    const pid = new RegExp(`localhost:${base + 2} .* (\\d+)\n`).exec(dev.output)?.[1];
    process.kill(Number(pid), 'SIGKILL');
    await until(() => dev.errors.includes('Start it again with:'), () => dev.errors);
    expect(await run('get', 'greetings/hello.txt', '-o', '-', '--url', gateway(0))).toMatchObject({ code: 0, output: 'hello, ring\n' });

    const again = / {2}(\S+ .*--bootstrap-expect 3)\n/.exec(dev.errors)?.[1]?.split(' ') ?? [];
    expect(path.resolve(directory, again[1] ?? '')).toBe(MAIN);
    new Program(again.slice(2));
    await until(async () => (await fetch(`${admin(2)}/readyz`).catch(() => null))?.status === 200, () => dev.errors);
    expect(await run('rm', 'greetings/hello.txt', '--url', gateway(2))).toMatchObject({ code: 0 });

    dev.process.kill('SIGINT');
    expect(await dev.exit).toBe(0);
    await expect(fetch(`${admin(0)}/livez`)).rejects.toThrow();
  }, 60_000);
});
