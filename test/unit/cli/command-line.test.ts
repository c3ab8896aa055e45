import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { beforeEach, describe, expect, test } from '@jest/globals';
import { runCommandLine } from '../../../src/cli/command-line.ts';
import { EXIT } from '../../../src/cli/exit-code.ts';
import { HELP } from '../../../src/cli/help-text.ts';
import { encodeName } from '../../../src/cli/node-client.ts';
import { bytesText, durationText, printable, progressLine } from '../../../src/cli/progress-bar.ts';
import { FakeDoors, jsonResponse } from './fake-doors.ts';

let doors: FakeDoors;

beforeEach(() => {
  doors = new FakeDoors();
});

const run = (args: readonly string[], environment: Record<string, string> = {}): Promise<number> =>
  runCommandLine(args, doors.deps(), { environment, program: ['node', './bin/dht.js'], version: '1.2.3', nodeFlags: ['host', 'port'] });

const sha256 = (text: string, encoding: 'hex' | 'base64' = 'hex'): string => createHash('sha256').update(text).digest(encoding);
const receipt = (name: string, text: string): Record<string, unknown> => ({ name, size: text.length, sha256: sha256(text), durableCopies: 3, replicationFactor: 3, owner: 'localhost:7401' });
const found = (text: string): { status: number; headers: Map<string, string>; body: Buffer } => ({ status: 200, headers: new Map([['repr-digest', `sha-256=:${sha256(text, 'base64')}:`], ['etag', '"1"']]), body: Buffer.from(text) });
const absent = jsonResponse(404, { code: 'DHT_ERR_NOT_FOUND', title: 'There is no such object', detail: 'No object has this name.', retryable: false, requestId: 'r' });

describe('dht', () => {
  test('without a command shows the help and is a usage error', async () => {
    expect(await run([])).toBe(EXIT.USAGE);
    expect(doors.printed).toBe(HELP);
    expect(await run(['help'])).toBe(EXIT.OK);
    expect(await run(['put', '--help'])).toBe(EXIT.OK);
  });

  test('version prints it, as JSON too', async () => {
    await run(['version']);
    await run(['version', '--json']);
    expect(doors.printed).toBe('dht 1.2.3\n{"version":"1.2.3"}\n');
  });

  test.each([
    [['frobnicate'], 'there is no command "frobnicate"'],
    [['put'], 'dht put needs a FILE'],
    [['put', 'a', 'b', '--name', 'c'], '--name is for one file, not for 2'],
    [['put', 'a', '--nmae', 'c'], 'dht put has no --nmae'],
    [['rm', '-r', 'a'], 'dht rm has no -r'],
    [['put', '-r', '..'], '".." has no name to store it under'],
    [['get', '-r', 'a', 'b'], 'dht get -r needs one PREFIX'],
    [['get', '-r', 'a', '-o', 'b'], '-o is for one object'],
    [['ls', 'a', 'b'], 'dht ls takes one PREFIX'],
    [['ls', '--delimiter', ''], '--delimiter is empty'],
    [['get'], 'dht get needs one NAME'],
    [['get', 'a', '-o'], '-o has no value'],
    [['get', 'a/'], '"a/" has no file name at its end'],
    [['rm'], 'dht rm needs a NAME'],
    [['join'], 'dht join needs a HOST:PORT'],
    [['status', 'x'], 'dht status takes no "x"'],
    [['get', 'a', '--url', 'localhost:8080'], '--url is "localhost:8080": allowed is http://HOST:PORT'],
    [['dev', '--nodes', '0'], '--nodes is "0": allowed is an integer from 1 to 50'],
    [['dev', '--port', '8078'], '5 ring ports from 8078 run into the http ports from 8080'],
    [['dev', 'five'], 'dht dev takes no "five"'],
  ])('%j is a usage error that says what is wrong', async (args, message) => {
    expect(await run(args)).toBe(EXIT.USAGE);
    expect(doors.noted).toContain(message);
    expect(doors.requests).toEqual([]);
  });

  test('docs/command-line.md has every exit code and command of the help', () => {
    const page = readFileSync(path.resolve(import.meta.dirname, '../../../docs/command-line.md'), 'utf8');
    for (const code of Object.values(EXIT)) expect(page).toContain(`| ${code} |`);
    for (const [, command] of HELP.matchAll(/^ {2}dht (\w+)/gm)) expect(page).toContain(`dht ${command ?? ''}`);
    for (const [flag] of HELP.matchAll(/--[a-z-]+/g)) expect(page).toContain(flag);
  });
});

describe('dht put', () => {
  test('stores a file under its base name, with a key that makes a retry safe', async () => {
    doors.stored.set('dir/ä b.txt', Buffer.from('hello'));
    doors.answers = [jsonResponse(201, receipt('ä b.txt', 'hello'))];
    expect(await run(['put', 'dir/ä b.txt'], { DHT_URL: 'http://h:1/', DHT_TOKEN: 't' })).toBe(EXIT.OK);
    expect(doors.requests[0]).toMatchObject({ method: 'PUT', url: 'http://h:1/v1/objects/%C3%A4%20b.txt', headers: { authorization: 'Bearer t' } });
    expect(doors.requests[0]?.headers['idempotency-key']).toMatch(/^[0-9a-f]{32}$/);
    expect(doors.printed).toBe('ä b.txt  5 B  3 of 3 copies durable  owner localhost:7401\n');
  });

  test('retries what may be retried under the same key', async () => {
    doors.stored.set('a', Buffer.from('x'));
    doors.answers = [jsonResponse(503, { code: 'DHT_ERR_OUTCOME_UNKNOWN', outcome: 'unknown', retryable: true }), jsonResponse(200, receipt('a', 'x'))];
    expect(await run(['put', 'a'])).toBe(EXIT.OK);
    expect(new Set(doors.requests.map((request) => request.headers['idempotency-key'])).size).toBe(1);
    expect(doors.requests).toHaveLength(2);
  });

  test.each([
    [jsonResponse(503, { code: 'DHT_ERR_NO_QUORUM', outcome: 'not-applied', retryable: true }), EXIT.UNAVAILABLE],
    [jsonResponse(503, { code: 'DHT_ERR_OUTCOME_UNKNOWN', outcome: 'unknown', retryable: true }), EXIT.UNKNOWN],
    [jsonResponse(412, { code: 'DHT_ERR_PRECONDITION_FAILED', retryable: false }), EXIT.CONFLICT],
    [jsonResponse(413, { code: 'DHT_ERR_TOO_LARGE', retryable: false }), EXIT.ERROR],
    [{ status: 502, headers: new Map<string, string>(), body: Buffer.from('<html>') }, EXIT.ERROR],
    [new Error('no answer from http://x (connect ECONNREFUSED 127.0.0.1:1)'), EXIT.UNAVAILABLE],
    [new Error('no answer from http://x (socket hang up)'), EXIT.UNKNOWN],
  ])('answered %j ends with its exit code', async (answer, exitCode) => {
    doors.stored.set('a', Buffer.from('x'));
    doors.answers = [answer];
    expect(await run(['put', 'a'])).toBe(exitCode);
    expect(doors.noted).toMatch(/^dht: .+\n$/);
  });

  test('of a file that is not there sends nothing', async () => {
    expect(await run(['put', 'none'])).toBe(EXIT.ERROR);
    expect(doors.noted).toContain('ENOENT');
    expect(doors.requests).toEqual([]);
  });

  test('draws a bar only for a person', async () => {
    doors.stored.set('a', Buffer.from('x'));
    doors.answers = [jsonResponse(201, receipt('a', 'x'))];
    await run(['put', 'a']);
    expect(doors.noted).toBe('');
    doors.isInteractive = true;
    await run(['put', 'a']);
    expect(doors.noted).toContain('100 %');
  });
});

describe('dht get', () => {
  test('saves under the name below the current directory, never under an absolute path', async () => {
    doors.answers = [found('hello')];
    expect(await run(['get', '/etc//passwd'])).toBe(EXIT.OK);
    expect(doors.requests[0]?.url).toBe('http://localhost:8080/v1/objects//etc//passwd');
    expect([...doors.saved.keys()]).toEqual(['etc/passwd']);
  });

  test('saves as -o says, prints with -o -, and tells about it in JSON', async () => {
    doors.answers = [found('hello')];
    expect(await run(['get', 'a', '-o', '../b'])).toBe(EXIT.OK);
    expect(doors.saved.get('../b')?.toString()).toBe('hello');
    doors.printed = '';
    await run(['get', 'a', '-o', '-']);
    expect(doors.printed).toBe('hello');
    doors.printed = '';
    await run(['get', 'a', '--json']);
    expect(JSON.parse(doors.printed)).toEqual({ name: 'a', file: 'a', size: 5, sha256: sha256('hello'), etag: '"1"' });
  });

  test('of an absent object saves nothing and ends with 4', async () => {
    doors.answers = [absent];
    expect(await run(['get', 'a', '--json'])).toBe(EXIT.ABSENT);
    expect(doors.saved.size).toBe(0);
    expect(doors.noted).toContain('There is no such object');
    expect(JSON.parse(doors.printed)).toMatchObject({ error: { code: 'DHT_ERR_NOT_FOUND', exitCode: 4 } });
  });

  test('of a body without its digest saves nothing', async () => {
    doors.answers = [{ ...found('hello'), body: Buffer.from('hellO') }];
    expect(await run(['get', 'a'])).toBe(EXIT.ERROR);
    expect(doors.saved.size).toBe(0);
  });
});

describe('commands for the ring', () => {
  test('join and leave carry the admin token of the secret file', async () => {
    doors.stored.set('s', Buffer.from('secret'));
    doors.answers = [jsonResponse(200, { host: 'h', port: 1, state: 'serving', epoch: 2 })];
    expect(await run(['join', 'a:1', 'b:2', '--cluster-secret-file', 's'])).toBe(EXIT.OK);
    expect(doors.requests[0]).toMatchObject({ method: 'POST', url: 'http://localhost:9464/v1/node/join', headers: { authorization: 'Bearer token-of-secret' } });
    expect(doors.requests[0]?.body?.toString()).toBe('{"seeds":["a:1","b:2"]}');
    expect(doors.printed).toBe('h:1 is serving in layout 2.\n');
    await run(['leave'], { DHT_ADMIN_URL: 'http://x:5' });
    expect(doors.requests[1]).toMatchObject({ url: 'http://x:5/v1/node/leave', headers: {} });
  });

  test('status shows a table in ring order, what moves, and the warnings', async () => {
    const member = { key: 9, zone: '', state: 'member', liveness: 'alive', isVoter: true, ownedShare: 0.25, heldShare: 1 };
    doors.answers = [jsonResponse(200, { epoch: 4, phase: 'moving', M: 48, replicationFactor: 2, members: [{ ...member, name: 'b:1' }, { ...member, name: 'a:1', key: 3, isVoter: false, liveness: 'down' }], arcs: { total: 8, healthy: 7, degraded: 1, unavailable: 0 }, moves: { arcs: 2, keysLeft: 10, bytesLeft: 2048, estimatedSeconds: 1.5 }, safety: 'Not yet.', warnings: ['Two members tolerate no failure.'] })];
    expect(await run(['status'])).toBe(EXIT.OK);
    expect(doors.printed).toBe(
      `NODE  STATE   SEEN AS  KEY  OWNS    HOLDS    VOTER  ZONE
a:1   member  down     3    25.0 %  100.0 %
b:1   member  alive    9    25.0 %  100.0 %  yes

Layout 4 (moving), 2 nodes, 2 copies, M = 48.
Arcs: 7 of 8 healthy, 1 degraded, 0 unavailable.
Moving: 2 arcs, 10 keys and 2.0 KiB left, about 2 s.
Everything safe? Not yet.
Warning: Two members tolerate no failure.
`,
    );
  });

  test('explain shows who holds what and why', async () => {
    const holds = { version: 'a-b-c', kind: 'object', size: 5, sha256: 'f'.repeat(64), durable: true };
    doors.answers = [jsonResponse(200, { name: 'a b', hash: '00', key: 7, arc: { from: 5, to: 9 }, epoch: 4, owner: 'x:1', preferenceList: [{ node: 'x:1', reason: 'first token clockwise', liveness: 'alive', holds }, { node: 'y:1', reason: 'next node', liveness: 'down', holds: null }], nextOwner: 'y:1', repairsPending: 0 })];
    expect(await run(['explain', 'a b&c'])).toBe(EXIT.OK);
    expect(doors.requests[0]?.url).toBe('http://localhost:9464/v1/ring/lookup?name=a%20b%26c');
    expect(doors.printed).toContain('position             7, in the arc (5, 9] of layout 4');
    expect(doors.printed).toMatch(/1 {2}x:1 +alive +5 B, sha256 ffffffffffff, version a-b +first token clockwise/);
    expect(doors.printed).toMatch(/2 {2}y:1 +down +no answer +next node/);
  });
});

describe('dht dev', () => {
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  async function until(condition: () => boolean): Promise<void> {
    for (let i = 0; i < 1000 && !condition(); i++) await turn();
    expect(condition()).toBe(true);
  }

  test('starts every node with the same names and secret, prints the ring, and ends all on a signal', async () => {
    doors.answers = [jsonResponse(503, {}), jsonResponse(200, {})];
    const code = run(['dev', '--nodes', '3', '--', '--key-bits', '16'], { DHT_PORT: '1', PATH: '/bin' });
    await until(() => doors.printed !== '');
    expect(doors.children).toHaveLength(3);
    const second = doors.children[1]?.options;
    expect(second).toMatchObject({ command: 'node', environment: { PATH: '/bin' }, outputFile: './data/logs/localhost_7401.log' });
    expect(second?.args.join(' ')).toBe(
      './bin/dht.js node --host localhost --port 7401 --http-port 8081 --admin-port 9465 --data-dir ./data --cluster-secret-file ./data/cluster-secret --join localhost:7400,localhost:7401,localhost:7402 --bootstrap-expect 3 --key-bits 16',
    );
    expect(doors.saved.get('./data/cluster-secret')?.toString()).toMatch(/^[0-9a-f]{64}\n$/);
    expect(doors.printed).toContain('http://localhost:8082');

    doors.children[1]?.end('SIGKILL');
    await until(() => doors.noted !== '');
    expect(doors.noted).toContain('localhost:7401 ended (SIGKILL); 2 of the 3 nodes started here are running. Start it again with:\n\n  node ./bin/dht.js node --host localhost --port 7401');

    doors.stop();
    expect(doors.children.map((child) => child.signals[0])).toEqual(['SIGTERM', undefined, 'SIGTERM']);
    for (const child of doors.children) child.end('exit code 0');
    expect(await code).toBe(EXIT.OK);
  });

  test('gives up with the reason when a node does not start, and takes the others down', async () => {
    doors.answers = [jsonResponse(503, {})];
    const code = run(['dev', '--nodes', '2']);
    await until(() => doors.children.length === 2);
    doors.children[0]?.end('exit code 1');
    await until(() => (doors.children[1]?.signals.length ?? 0) > 0);
    doors.children[1]?.end('exit code 0');
    expect(await code).toBe(EXIT.ERROR);
    expect(doors.noted).toContain('localhost:7400 ended (exit code 1); its log is ./data/logs/localhost_7400.log');
  });

  test('kills a node that does not end when asked', async () => {
    doors.answers = [jsonResponse(200, {})];
    const code = run(['dev', '--nodes', '1']);
    await until(() => doors.printed !== '');
    doors.stop();
    await until(() => doors.children[0]?.signals.includes('SIGKILL') === true);
    doors.children[0]?.end('SIGKILL');
    expect(await code).toBe(EXIT.OK);
  });
});

describe('texts', () => {
  test('names are encoded once, with slashes as they are', () => {
    expect(encodeName('a/b c%2F?#ä..')).toBe('a/b%20c%252F%3F%23%C3%A4..');
  });

  test('sizes and progress are short', () => {
    expect([0, 1023, 1024, 1536, 5 * 1024 ** 3].map(bytesText)).toEqual(['0 B', '1023 B', '1.0 KiB', '1.5 KiB', '5.0 GiB']);
    expect([0, 0.1, 99, 150, 7200 * 2].map(durationText)).toEqual(['0 s', '1 s', '99 s', '3 min', '4 h']);
    expect(progressLine(512, 1024, 1, 80, 'file')).toBe('[===============               ]  50 %  512 B/s  1 s left  file');
    expect(progressLine(0, 0, 0, 20, 'file').length).toBeLessThan(20);
  });

  test('names can not steer the terminal', () => {
    expect(printable('a\x1b[2Jb\u202e')).toBe('a\\u{1b}[2Jb\\u{202e}');
  });
});

describe('dht canary', () => {
  const noObjects = jsonResponse(200, { objects: [], commonPrefixes: [] });

  test('publishes on its port while it runs, uses every gateway, and ends with what it found', async () => {
    doors.answer = ({ method, url }) => {
      if (doors.requests.length > 60) doors.stop();
      if (method === 'GET') return absent;
      return { ...jsonResponse(201, {}), headers: new Map([['etag', `"${url.length}"`]]) };
    };
    expect(await run(['canary', '--url', 'http://a:1', '--url', 'http://b:2/', '--port', '7', '--objects', '4', '--json'])).toBe(EXIT.OK);
    expect(new Set(doors.requests.map(({ url }) => new URL(url).host))).toEqual(new Set(['a:1', 'b:2']));
    expect(doors.noted).toContain('publishes on port 7');
    expect(doors.published).toEqual([]);
    expect(JSON.parse(doors.printed)).toMatchObject({ stale: 0, corrupt: 0 });
  });

  test('takes gateways and token from the environment', async () => {
    doors.answer = ({ method }) => (method === 'DELETE' ? { ...noObjects, status: 204 } : noObjects);
    expect(await run(['canary', '--clean'], { DHT_URL: 'http://a:1, http://b:2', DHT_TOKEN: 't' })).toBe(EXIT.OK);
    expect(doors.requests.every(({ headers }) => headers['authorization'] === 'Bearer t')).toBe(true);
    expect(doors.printed).toBe('1 objects removed\n');
  });

  test.each([
    [['canary', 'x'], 'dht canary takes no "x"'],
    [['canary', '--url', 'a'], '--url is "a"'],
    [['canary', '--rate', '0'], '--rate is "0"'],
    [['canary', '--prefix', 'canary'], '--prefix is "canary"'],
    [['canary', '--prefix', '../x/'], '--prefix is "../x/"'],
  ])('%j is a usage error that says what is wrong', async (args, message) => {
    expect(await run(args)).toBe(EXIT.USAGE);
    expect(doors.noted).toContain(message);
    expect(doors.requests).toEqual([]);
  });
});

describe('dht completion', () => {
  /** What bash offers for the words so far. */
  const offered = (script: string, words: readonly string[]): readonly string[] => {
    const { stdout } = spawnSync('bash', ['-c', `${script}\nCOMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}; _dht; printf '%s\\n' "\${COMPREPLY[@]}"`], { encoding: 'utf8' });
    return stdout.split('\n').filter((line) => line !== '').sort();
  };

  test('lets bash complete commands, and flags of the command that stands there', async () => {
    expect(await run(['completion', 'bash'])).toBe(EXIT.OK);
    expect(offered(doors.printed, ['dht', 'l'])).toEqual(['leave', 'ls']);
    expect(offered(doors.printed, ['dht', 'ls', '--d'])).toEqual(['--delimiter']);
    expect(offered(doors.printed, ['dht', 'get', '--d'])).toEqual([]);
    expect(offered(doors.printed, ['dht', 'get', '--re'])).toEqual(['--recursive']);
    expect(offered(doors.printed, ['dht', 'node', '--'])).toEqual(['--help', '--host', '--port']);
    expect(offered(doors.printed, ['dht', 'put', 'fi'])).toEqual([]);
  });

  test.each(['bash', 'zsh', 'fish'])('knows every command of the help in %s', async (shell) => {
    expect(await run(['completion', shell])).toBe(EXIT.OK);
    for (const [, command] of HELP.matchAll(/^ {2}dht (\w+)/gm)) expect(doors.printed).toMatch(new RegExp(`\\b${command ?? ''}\\b`));
    expect(doors.printed).toContain('accept-data-loss');
  });

  test.each([[['completion']], [['completion', 'csh']], [['completion', 'bash', 'zsh']]])('%j is a usage error', async (args) => {
    expect(await run(args)).toBe(EXIT.USAGE);
    expect(doors.noted).toContain('dht completion needs one of bash, zsh, fish');
  });
});
