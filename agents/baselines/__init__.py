"""What reinforcement learning is compared with: imitation of demonstrations, the best of several texts."""
