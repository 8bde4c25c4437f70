/** A push is refused. `status` and `message` are the HTTP answer, in Loki's words (without the final newline). */
export class PushError extends Error {
  readonly code = 'push_refused';
  readonly status: number;

  constructor(status: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
  }
}
