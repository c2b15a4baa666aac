# Sidekiq with a process of its own: BRPOP, the scheduler's Lua, heartbeats.
require_relative 'sidekiq_jobs'
require 'sidekiq/api'
require_relative 'harness'

worker = spawn('sidekiq', '-r', File.join(__dir__, 'sidekiq_jobs.rb'), '-c', '5', '-q', 'default,1', in: '/dev/null', out: '/dev/null', err: '/dev/null')
begin
  check('its process registers and beats') { eventually { Sidekiq::ProcessSet.new.size == 1 } }

  check('300 jobs, each done once') do
    100.times { |i| Count.perform_async('single', i) }
    Sidekiq::Client.push_bulk('class' => Count, 'args' => (0...200).map { |i| ['bulk', i] })
    eventually { Sidekiq.redis { |r| r.hlen('single') + r.hlen('bulk') } == 300 }
    raise 'some ran twice' unless Sidekiq.redis { |r| (r.hvals('single') + r.hvals('bulk')).uniq } == ['1']
    eventually { Sidekiq::Stats.new.processed == 300 }
    raise 'something is left' unless Sidekiq::Queue.new.size.zero?
  end

  check('50 delayed jobs') do
    50.times { |i| Count.perform_in(1.5, 'delayed', i) }
    raise 'they are not scheduled' unless Sidekiq::ScheduledSet.new.size == 50
    eventually { Sidekiq.redis { |r| r.hlen('delayed') } == 50 }
    raise 'something is left' unless Sidekiq::ScheduledSet.new.size.zero?
  end

  check('a job that fails is tried again') do
    Flaky.perform_async('tries')
    eventually { Sidekiq::RetrySet.new.size == 1 || Sidekiq.redis { |r| r.get('tries') } == '2' }
    eventually { Sidekiq.redis { |r| r.get('tries') } == '2' && Sidekiq::RetrySet.new.size.zero? }
    eventually { Sidekiq::Stats.new.failed == 1 }
  end
ensure
  Process.kill('TERM', worker)
  Process.wait(worker)
end

done Sidekiq::VERSION
