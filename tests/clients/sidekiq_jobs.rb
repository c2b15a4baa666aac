# What Sidekiq's process of sidekiq_check.rb loads and runs.
require 'sidekiq'

Sidekiq.configure_server { |c| c.redis = { url: "redis://127.0.0.1:#{ENV.fetch('VARVE_PORT')}/3" } }
Sidekiq.configure_client { |c| c.redis = { url: "redis://127.0.0.1:#{ENV.fetch('VARVE_PORT')}/3" } }
Sidekiq.options[:average_scheduled_poll_interval] = 1 if Sidekiq.respond_to?(:options)

class Count
  include Sidekiq::Worker

  def perform(key, n)
    Sidekiq.redis { |r| r.hincrby(key, n, 1) }
  end
end

class Flaky
  include Sidekiq::Worker
  sidekiq_options retry: 2
  sidekiq_retry_in { 1 }

  def perform(key)
    tries = Sidekiq.redis { |r| r.incr(key) }
    raise 'the first try fails, as it should' if tries == 1
  end
end
