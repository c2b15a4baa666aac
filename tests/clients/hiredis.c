/* hiredis: blocking, pipelined and over a unix socket as C programs use it; RESP is parsed by the client of many others. */
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static redisContext* c;
static int failed;

static void say(const char* name, int ok) {
  printf("%s %s%s\n", ok ? "check" : "failed", name, ok ? "" : " :: see hiredis.c");
  fflush(stdout);
  failed |= !ok;
}

/* Whether the reply is this text: of a status, a string, an error or a number. */
static int is(redisReply* r, const char* wanted) {
  char number[32];
  if (r == NULL) return 0;
  const char* got = r->str;
  if (r->type == REDIS_REPLY_NIL) got = "(nil)";
  if (r->type == REDIS_REPLY_INTEGER) snprintf(number, sizeof number, "%lld", r->integer), got = number;
  const int ok = got != NULL && strcmp(got, wanted) == 0;
  if (!ok) fprintf(stderr, "hiredis.c: got %s, wanted %s\n", got ? got : "(other)", wanted);
  freeReplyObject(r);
  return ok;
}

#define DO(...) ((redisReply*)redisCommand(c, __VA_ARGS__))

static redisReply* next(void) {
  void* reply = NULL;
  return redisGetReply(c, &reply) == REDIS_OK ? (redisReply*)reply : NULL;
}

int main(void) {
  const int port = atoi(getenv("VARVE_PORT"));
  c = redisConnect("127.0.0.1", port);
  if (c == NULL || c->err) return 1;

  say("strings, and bytes that are no text", is(DO("SET %s %b", "bytes", "a\0b\r\n", (size_t)5), "OK") && is(DO("STRLEN bytes"), "5") &&
                                                 is(DO("GET none"), "(nil)") && is(DO("INCRBY n 41"), "41") && is(DO("INCR n"), "42"));
  say("hashes, lists, sets, sorted sets",
      is(DO("HSET h a 1 b 2"), "2") && is(DO("HGET h b"), "2") && is(DO("RPUSH l x y z"), "3") && is(DO("LINDEX l -1"), "z") && is(DO("SADD s a b a"), "2") &&
          is(DO("ZADD z 1.5 m 2 n"), "2") && is(DO("ZSCORE z m"), "1.5") && is(DO("ZRANK z n"), "1"));
  say("errors are replies", is(DO("LPUSH h x"), "WRONGTYPE Operation against a key holding the wrong kind of value") && is(DO("PING"), "PONG"));

  int ok = 1;
  for (int i = 0; i < 20000; ++i) redisAppendCommand(c, "SET p:%d %d", i, i);
  for (int i = 0; i < 20000; ++i) ok &= is(next(), "OK");
  say("20,000 commands in a pipeline", ok && is(DO("GET p:19999"), "19999"));

  ok = is(DO("MULTI"), "OK") && is(DO("INCR n"), "QUEUED") && is(DO("GET n"), "QUEUED");
  redisReply* r = DO("EXEC");
  ok = ok && r && r->elements == 2 && r->element[0]->integer == 43;
  freeReplyObject(r);
  say("a transaction", ok && is(DO("EVAL %s 1 n", "return redis.call('INCRBY', KEYS[1], 7)"), "50"));

  redisContext* other = redisConnect("127.0.0.1", port);
  ok = redisAppendCommand(other, "BLPOP bl 10") == REDIS_OK;
  int written = 0;
  while (!written) ok &= redisBufferWrite(other, &written) == REDIS_OK;
  ok &= is(DO("RPUSH bl v"), "1");
  void* popped = NULL;
  ok &= redisGetReply(other, &popped) == REDIS_OK && popped && ((redisReply*)popped)->elements == 2;
  if (popped) freeReplyObject(popped);
  say("a blocking pop in another connection", ok);

  freeReplyObject(redisCommand(other, "SUBSCRIBE news"));
  ok = is(DO("PUBLISH news hi"), "1");
  popped = NULL;
  ok &= redisGetReply(other, &popped) == REDIS_OK && popped && strcmp(((redisReply*)popped)->element[2]->str, "hi") == 0;
  if (popped) freeReplyObject(popped);
  redisFree(other);
  say("pub/sub", ok);

  puts("restart kill");
  fflush(stdout);
  char line[64];
  ok = fgets(line, sizeof line, stdin) != NULL;
  r = DO("PING");
  if (r) freeReplyObject(r);
  ok &= redisReconnect(c) == REDIS_OK && is(DO("DBSIZE"), "20006") && is(DO("GET n"), "50") && is(DO("GET p:777"), "777");
  say("a restart of the server: reconnects, and all is there", ok);

  printf("version %d.%d.%d\n", HIREDIS_MAJOR, HIREDIS_MINOR, HIREDIS_PATCH);
  redisFree(c);
  return failed;
}
