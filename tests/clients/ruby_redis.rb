# redis-rb.
require 'redis'
require_relative 'harness'

def connect(**options) = Redis.new(host: '127.0.0.1', port: PORT, **options)

r = connect(reconnect_attempts: 20, reconnect_delay: 0.1, reconnect_delay_max: 0.3)

check('strings') do
  equal r.set('s', 'v', ex: 100, nx: true), true
  equal r.set('s', 'w', nx: true), false
  equal r.set('s', 'w', get: true, keepttl: true), 'v'
  r.mapped_mset((0...100).to_h { |i| ["m:#{i}", i] })
  equal r.mapped_mget('m:5', 'none'), { 'm:5' => '5', 'none' => nil }
  equal [r.incrby('n', 7), r.incrbyfloat('f', 0.5), r.append('s', 'xyz'), r.getrange('s', 1, 2)], [7, 0.5, 4, 'xy']
  blob = (0..255).map(&:chr).join.b * 4096
  r.set("b\0\r\n", blob)
  equal r.get("b\0\r\n").b, blob
end

check('hashes, lists, sets, sorted sets') do
  r.mapped_hmset('h', (0...500).to_h { |i| ["f#{i}", i] })
  equal [r.hlen('h'), r.hgetall('h')['f499'], r.hincrby('h', 'f1', 2)], [500, '499', 3]
  r.rpush('l', (0...300).to_a)
  equal [r.llen('l'), r.lindex('l', -1), r.lpop('l', 2), r.lmove('l', 'l2', 'LEFT', 'RIGHT')], [300, '299', %w[0 1], '2']
  equal [r.sadd('s1', (0...100).to_a), r.sadd('s2', (50...150).to_a), r.sinter('s1', 's2').size], [100, 100, 50]
  equal r.zadd('z', (0...1000).map { |i| [i, "m#{i}"] }), 1000
  equal r.zrange('z', 0, 1, with_scores: true), [['m0', 0.0], ['m1', 1.0]]
  equal [r.zrevrank('z', 'm999'), r.zcount('z', '(10', 20), r.zpopmax('z')], [0, 10, ['m999', 999.0]]
  r.geoadd('geo', 13.361389, 38.115556, 'Palermo', 15.087269, 37.502669, 'Catania')
  equal r.geodist('geo', 'Palermo', 'Catania', 'km').to_f.round, 166
end

check('streams and groups') do
  ids = (0...100).map { |i| r.xadd('st', { n: i }, maxlen: 1000, approximate: true) }
  r.xgroup(:create, 'st', 'g', '0')
  first = r.xreadgroup('g', 'c', 'st', '>', count: 40)['st']
  equal first.map(&:first), ids[0, 40]
  equal [r.xack('st', 'g', *ids[0, 10]), r.xpending('st', 'g')['size']], [10, 30]
  equal r.xautoclaim('st', 'g', 'd', 0, '0-0')['entries'].size, 30
  equal r.xread('st', ids[-2])['st'], [[ids[-1], { 'n' => '99' }]]
end

check('pipelines') do
  got = r.pipelined { |p| 5000.times { |i| p.set("p:#{i}", i); p.get("p:#{i}") } }
  equal got, (0...5000).flat_map { |i| ['OK', i.to_s] }
end

check('transactions with WATCH') do
  other = connect
  got = r.watch('w') do
    other.set('w', 1)
    r.multi { |t| t.set('w', 2) }
  end
  equal got, nil
  equal r.watch('w') { r.multi { |t| t.incr('w'); t.get('w') } }, [2, '2']
end

check('scripts: EVALSHA, and EVAL when it is not known') do
  script = "return {KEYS[1], ARGV[1], redis.call('INCR', KEYS[1])}"
  r.script(:flush)
  begin
    r.evalsha(Digest::SHA1.hexdigest(script), keys: ['e'], argv: ['a'])
    raise 'it was known'
  rescue Redis::CommandError => e
    raise unless e.message.start_with?('NOSCRIPT')
  end
  equal r.eval(script, keys: ['e'], argv: ['a']), ['e', 'a', 1]
  equal r.evalsha(Digest::SHA1.hexdigest(script), keys: ['e'], argv: ['b']), ['e', 'b', 2]
end

check('pub/sub and patterns') do
  got = Queue.new
  ready = Queue.new
  heard = connect
  listener = Thread.new do
    heard.psubscribe('n*') do |on|
      on.psubscribe { ready << true }
      on.pmessage { |_, channel, text| got << [channel, text]; heard.punsubscribe if text == 'bye' }
    end
  end
  ready.pop
  equal [r.publish('news', 'hi'), r.publish('none', 'x'), r.publish('news', 'bye')], [1, 1, 1]
  listener.join(10)
  equal [got.pop, got.pop, got.pop], [%w[news hi], %w[none x], %w[news bye]]
end

check('blocking pops in another connection') do
  waiter = connect
  waiting = Thread.new { [waiter.blpop('bl', timeout: 10), waiter.bzpopmin('bz', timeout: 10), waiter.brpoplpush('bl', 'bl2', timeout: 10)] }
  eventually { r.info('clients')['blocked_clients'] == '1' }
  r.rpush('bl', 'x')
  r.zadd('bz', 1, 'm')
  r.lpush('bl', 'y')
  equal waiting.value, [%w[bl x], ['bz', 'm', 1.0], 'y']
end

check('iterators: SCAN, and over a range') do
  equal r.scan_each(match: 'm:*', count: 9).to_a.uniq.size, 100
  equal [r.hscan_each('h').to_a.size, r.sscan_each('s1').to_a.size, r.zscan_each('z', match: 'm9*').to_a.size], [500, 100, 110]
  found, cursor = [], '0'
  loop do
    cursor, keys = r.call('SCAN', cursor, 'RANGE', '[p:2000', '(p:2100', 'COUNT', 10)
    found += keys
    break if cursor == '0'
  end
  equal found.uniq.sort, (0...5000).map { |i| "p:#{i}" }.select { |k| k >= 'p:2000' && k < 'p:2100' }.sort
end

check('a restart of the server: reconnects, and all is there') do
  before = [r.dbsize, r.hgetall('h'), r.zrange('z', 0, -1)]
  puts 'restart term'
  $stdin.gets
  equal [r.dbsize, r.hgetall('h'), r.zrange('z', 0, -1)], before
end

done Redis::VERSION
