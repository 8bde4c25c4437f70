import { connect, type Socket } from 'node:net';

/** A connection on which a test says byte by byte what it wants. */
export class RawConnection {
  readonly #socket: Socket;
  #received = '';
  /** Everything that came, once the other side has closed. */
  readonly closed: Promise<string>;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding('latin1').on('data', (text: string) => {
      this.#received += text;
    });
    socket.on('error', () => {}); // a reset is a close
    this.closed = new Promise((resolve) => {
      socket.once('close', () => resolve(this.#received));
    });
  }

  static async open(port: number): Promise<RawConnection> {
    const socket = connect(port, '127.0.0.1');
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    return new RawConnection(socket);
  }

  write(text: string): void {
    this.#socket.write(text, 'latin1');
  }

  destroy(): void {
    this.#socket.destroy();
  }
}
