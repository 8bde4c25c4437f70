/**
 * A stage that the syntax allows and that means nothing. The message is Loki's, without the words in front of it
 * (`parse error : stage '…' : `), which whoever knows the stage's text adds.
 */
export class StageError extends Error {
  readonly code = 'bad_stage';
  override readonly name = 'StageError';
}
