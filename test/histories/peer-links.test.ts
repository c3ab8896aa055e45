import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { afterEach, expect, test } from '@jest/globals';
import { PeerLinks } from './peer-links.ts';

const FROM = 0;
const TO = 1;
let ended: (() => void)[] = [];

afterEach(() => {
  for (const end of ended) end();
  ended = [];
});

/** An echo behind a proxy, dialed by this process, which counts as node 0. */
async function open(): Promise<{ links: PeerLinks; dial: () => Socket; served: Socket[] }> {
  const served: Socket[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    served.push(socket);
    socket.on('error', () => undefined);
    socket.pipe(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const links = new PeerLinks((node) => (node === FROM ? process.pid : null));
  await links.listen(FROM, 1, 0);
  const port = await links.listen(TO, (server.address() as AddressInfo).port, 0);
  const dial = (): Socket => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    socket.on('error', () => undefined);
    ended.push(() => socket.destroy());
    return socket;
  };
  ended.push(() => { for (const socket of served) socket.destroy(); server.close(); void links.close(); });
  return { links, dial, served };
}

async function answerOf(socket: Socket): Promise<string> {
  const [bytes] = await once(socket, 'data') as [Buffer];
  return bytes.toString();
}

test('a link carries bytes both ways and knows who dialed', async () => {
  const { links, dial } = await open();
  const socket = dial();
  socket.write('hello');
  expect(await answerOf(socket)).toBe('hello');
  expect(links.connections).toBe(1);
  if (process.platform === 'linux') expect(links.unidentified).toBe(0);
  socket.end('bye');
  expect(await answerOf(socket)).toBe('bye');
  await once(socket, 'end');
});

/** Ended in whichever way. */
const closeOf = (socket: Socket): Promise<void> => new Promise((resolve) => { socket.once('close', () => resolve()); });

const onLinux = process.platform === 'linux' ? test : test.skip;

onLinux.each([['towards', FROM, TO], ['from', TO, FROM]])('a link that is held %s the server lets nothing through until it opens, and then all in order', async (_, from, to) => {
  const { links, dial } = await open();
  const socket = dial();
  socket.write('1');
  expect(await answerOf(socket)).toBe('1');
  links.set(from, to, { kind: 'held' });
  expect(links.isWhole).toBe(false);
  let isThrough = false;
  const answer = answerOf(socket).then((text) => { isThrough = true; return text; });
  socket.write('2');
  // The proxy has had turns enough to be wrong once it has counted three more connections.
  for (let i = 2; i <= 4; i++) {
    dial().write('x');
    while (links.connections < i) await new Promise((resolve) => { setImmediate(resolve); });
  }
  expect(isThrough).toBe(false);
  links.openAll();
  expect(await answer).toBe('2');
  expect(links.isWhole).toBe(true);
});

onLinux('a link that is reset ends its connections and takes no new ones', async () => {
  const { links, dial } = await open();
  const socket = dial();
  socket.write('1');
  expect(await answerOf(socket)).toBe('1');
  const closed = closeOf(socket);
  links.set(FROM, TO, { kind: 'reset' });
  await closed;
  await closeOf(dial());
  links.openAll();
  const again = dial();
  again.write('2');
  expect(await answerOf(again)).toBe('2');
});

test('a server that ends is seen by who dialed', async () => {
  const { dial, served } = await open();
  const socket = dial();
  socket.write('1');
  await answerOf(socket);
  const closed = closeOf(socket);
  served[0]?.resetAndDestroy();
  await closed;
});
