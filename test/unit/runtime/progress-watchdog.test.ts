import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { beforeEach, describe, expect, test } from '@jest/globals';
import { PROGRESS_BYTES_MIN, ProgressWatchdog } from '../../../src/runtime/progress-watchdog.ts';

class FakeSocket {
  bytesRead = 0;
  bytesWritten = 0;
  writableLength = 0;
  isCut = false;
  #onClose: () => void = () => undefined;

  on(_event: 'close', fn: () => void): void {
    this.#onClose = fn;
  }

  destroy(): void {
    this.isCut = true;
    this.#onClose();
  }
}

describe('the progress watchdog', () => {
  let watchdog: ProgressWatchdog;
  let socket: FakeSocket;
  const req = { complete: false };
  const res = { closed: false, writableEnded: false, headersSent: false };

  beforeEach(() => {
    watchdog = new ProgressWatchdog();
    socket = new FakeSocket();
    Object.assign(req, { complete: false, socket });
    Object.assign(res, { closed: false, writableEnded: false, headersSent: false });
    watchdog.connected(socket as unknown as Socket);
    watchdog.requested(req as unknown as IncomingMessage, res as unknown as ServerResponse);
  });

  test('cuts a client whose body stands still between two looks', () => {
    watchdog.look();
    expect(socket.isCut).toBe(false);
    socket.bytesRead += PROGRESS_BYTES_MIN - 1;
    watchdog.look();
    expect(socket.isCut).toBe(true);
  });

  test('leaves a slow client alone as long as its body moves', () => {
    for (let look = 0; look < 100; look++) {
      watchdog.look();
      socket.bytesRead += PROGRESS_BYTES_MIN;
    }
    expect(socket.isCut).toBe(false);
  });

  test('cuts a client that does not take its answer: bytes that are only queued do not count', () => {
    req.complete = true;
    res.writableEnded = true;
    socket.bytesWritten = socket.writableLength = 100_000;
    watchdog.look();
    socket.bytesWritten = socket.writableLength = 200_000;
    watchdog.look();
    expect(socket.isCut).toBe(true);
  });

  test('never judges a client that waits for the node, or between requests', () => {
    req.complete = true;
    for (let look = 0; look < 10; look++) watchdog.look();
    res.writableEnded = res.closed = true;
    for (let look = 0; look < 10; look++) watchdog.look();
    expect(socket.isCut).toBe(false);
  });

  test('gives a request that just began a whole interval', () => {
    req.complete = true;
    watchdog.look();
    req.complete = false;
    watchdog.look();
    expect(socket.isCut).toBe(false);
  });
});
