import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { beforeEach, describe, expect, test } from '@jest/globals';
import { ProgressWatchdog } from '../../../src/runtime/progress-watchdog.ts';

const PROGRESS_BYTES_MIN = 10_000;
const LOOKS_MAX = 3;

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
  const req = { complete: false, readableFlowing: true };
  const res = { closed: false, writableEnded: false, writableNeedDrain: false, headersSent: false };

  beforeEach(() => {
    watchdog = new ProgressWatchdog({ intervalMs: 10_000, sentBytesMin: PROGRESS_BYTES_MIN, takingLooksMax: LOOKS_MAX });
    socket = new FakeSocket();
    Object.assign(req, { complete: false, readableFlowing: true, socket });
    Object.assign(res, { closed: false, writableEnded: false, writableNeedDrain: false, headersSent: false });
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
    for (let look = 0; look <= LOOKS_MAX; look++) {
      expect(socket.isCut).toBe(false);
      socket.bytesWritten = socket.writableLength = 100_000 * look;
      watchdog.look();
    }
    expect(socket.isCut).toBe(true);
  });

  test('cuts a client that does not take its answer, whatever it asked for behind that', () => {
    req.complete = true;
    res.writableNeedDrain = true;
    res.headersSent = true;
    const behind = { closed: false, writableEnded: false, writableNeedDrain: false, headersSent: false };
    watchdog.requested({ ...req } as unknown as IncomingMessage, behind as unknown as ServerResponse);
    // Its answer has begun: nothing may be written between.
    expect(watchdog.isAnswered(socket as unknown as Socket)).toBe(true);
    for (let look = 0; look <= LOOKS_MAX; look++) {
      expect(socket.isCut).toBe(false);
      watchdog.look();
    }
    expect(socket.isCut).toBe(true);
  });

  test('judges the next request once the one before is done with', () => {
    req.complete = true;
    watchdog.requested({ ...req, complete: false } as unknown as IncomingMessage, { ...res } as unknown as ServerResponse);
    res.closed = true;
    watchdog.look();
    watchdog.look();
    expect(socket.isCut).toBe(true);
  });

  test('sees a client that takes its answer in lumps', () => {
    req.complete = true;
    res.writableNeedDrain = true;
    for (let look = 0; look < 30; look++) {
      watchdog.look();
      if (look % LOOKS_MAX === 0) socket.bytesWritten += 1;
    }
    expect(socket.isCut).toBe(false);
    for (let look = 0; look <= LOOKS_MAX; look++) watchdog.look();
    expect(socket.isCut).toBe(true);
  });

  test('does not blame a client for a body that the node does not read on', () => {
    req.readableFlowing = false;
    for (let look = 0; look < 10; look++) watchdog.look();
    expect(socket.isCut).toBe(false);
    req.readableFlowing = true;
    watchdog.look();
    expect(socket.isCut).toBe(false);
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
