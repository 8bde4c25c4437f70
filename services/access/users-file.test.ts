import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hashPassword, isPasswordOf, parsePasswordHash } from './password-hash.ts';
import { readUsers, UsersFileError } from './users-file.ts';

function problemsOf(source: string): string[] {
  try {
    readUsers(source, 'u.yaml');
  } catch (error) {
    if (error instanceof UsersFileError) return error.message.split('\n');
    throw error;
  }
  return [];
}

test('a hash fits its password and no other, and no two are the same', async () => {
  const [one, other] = [await hashPassword('secret'), await hashPassword('secret')];
  assert.notEqual(one, other);
  assert.match(one, /^\$scrypt\$ln=15,r=8,p=1\$[\w+/]{22}\$[\w+/]{43}$/);
  assert.equal(await isPasswordOf(parsePasswordHash(one)!, 'secret'), true);
  assert.equal(await isPasswordOf(parsePasswordHash(one)!, 'secret '), false);
});

test('a hash that is none, or takes too much, is refused', () => {
  const [salt, key] = ['A'.repeat(22), 'B'.repeat(43)];
  assert.equal(parsePasswordHash(`$scrypt$ln=14,r=8,p=1$${salt}$${key}`)?.key.length, 32);
  for (const rules of ['ln=30,r=8,p=1', 'ln=17,r=32,p=1', 'ln=15,r=8,p=99', 'ln=1,r=8,p=1', 'ln=15,r=0,p=1']) {
    assert.equal(parsePasswordHash(`$scrypt$${rules}$${salt}$${key}`), undefined, rules);
  }
  for (const text of ['', 'plain', `$2y$10$${salt}${key}`, `$scrypt$ln=15,r=8,p=1$${salt}`]) {
    assert.equal(parsePasswordHash(text), undefined, text);
  }
});

test('all that is wrong with a file is told, and nothing of what it holds', () => {
  const source = `users:
  - {name: 'a:b', password: hush, tenants: [a], permissions: [read]}
  - {name: c, tenants: a, permissions: [fly]}
  - {name: c, password_hash: hush, tenants: [1], permissions: []}
  - {name: d, password: 12345678, passwort: hush, tenants: '*', permissions: [read]}
  - hush
tokens:
  - {token_hash: hush, tenants: ['*'], permissions: [read]}
  - {token: hush, token_hash: hush, tenants: ['a'], permissions: [read]}
secrets: hush
`;
  const problems = problemsOf(source);
  assert.doesNotMatch(problems.join('\n'), /hush|12345678/);
  assert.match(problems[0]!, /u\.yaml: unknown key secrets/);
  for (const place of [
    'users[0].name: expected a text without :',
    'users[1].password_hash: expected this, or password',
    "users[1].tenants: expected '*' or a list of texts",
    'users[1].permissions: expected a list of read, write, admin',
    'users[2].name: expected a name that no other user has',
    'users[2].password_hash: expected what loptr -hash-password writes',
    "users[2].tenants: expected '*' or a list of texts",
    'users[3].password: expected a text (in quotes where YAML would see something else)',
    'users[3]: unknown key, expected name, password, password_hash, tenants, permissions',
    'users[4]: expected a mapping',
    'tokens[0].token_hash: expected the SHA-256 of the token in 64 hexadecimal digits',
    'tokens[1].token_hash: expected this, or token',
  ]) {
    assert.ok(problems.includes(`u.yaml: ${place}`), `${place} is not in ${problems.join('\n')}`);
  }
});

test('text that is no YAML is named by its line alone', () => {
  const problems = problemsOf('users:\n  - {name: "hush\n');
  assert.match(problems[0]!, /^u\.yaml:\d+: [A-Z_]+$/);
  assert.deepEqual(problemsOf(''), ['u.yaml: expected a mapping with users and tokens']);
  assert.deepEqual(problemsOf('users: 1'), ['u.yaml: users: expected a list']);
  assert.deepEqual(problemsOf('tokens: []'), []);
});
